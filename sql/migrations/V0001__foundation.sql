-- The first slice of the shop: who buys, what is sold, what is in stock, what was ordered.
-- One schema for each domain; no domain reads or writes another's.

create schema users;
create schema catalog;
create schema inventory;
create schema orders;

-- users ---------------------------------------------------------------------------------------------------------------

create table users.users (
    id            uuid        not null,
    email         text        not null,               -- lower case
    name          text        not null,
    role          text        not null,
    password_hash text,                               -- argon2id in PHC form; null: cannot sign in with a password
    created_at    timestamptz not null default now(),
    constraint users_pkey primary key (id),
    constraint users_email_unique unique (email),
    constraint users_email_lower_case check (email = lower(email)),
    constraint users_role_known check (role in ('customer', 'staff', 'admin'))
);

create table users.sessions (
    id         uuid        not null,
    user_id    uuid        not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at   timestamptz,
    end_reason text,
    constraint sessions_pkey primary key (id),
    constraint sessions_user_fkey foreign key (user_id) references users.users (id),
    constraint sessions_end_explained check ((ended_at is null) = (end_reason is null)),
    constraint sessions_end_reason_known check (end_reason in ('logout', 'refresh_token_reused', 'password_changed'))
);
create index sessions_user_index on users.sessions (user_id);
create index sessions_ended_at_index on users.sessions (ended_at) where ended_at is not null;

-- Every refresh token that was given out; a second use of one ends its session.
create table users.refresh_tokens (
    hash       bytea       not null,                  -- SHA-256 of the token
    session_id uuid        not null,
    expires_at timestamptz not null,
    used_at    timestamptz,
    constraint refresh_tokens_pkey primary key (hash),
    constraint refresh_tokens_session_fkey foreign key (session_id) references users.sessions (id)
);
create index refresh_tokens_session_index on users.refresh_tokens (session_id);

-- catalog -------------------------------------------------------------------------------------------------------------

create table catalog.products (
    id          uuid        not null,
    name        text        not null,
    description text        not null,
    category    text        not null,
    created_at  timestamptz not null default now(),
    constraint products_pkey primary key (id)
);
create index products_category_index on catalog.products (category, id);

create table catalog.variants (
    sku        text     not null,
    product_id uuid     not null,
    position   smallint not null,                     -- order of showing within the product
    attributes jsonb    not null,                     -- for example {"size": "M", "colour": "indigo"}
    price      bigint   not null,                     -- yen, tax included
    tax_rate   smallint not null,                     -- percent
    constraint variants_pkey primary key (sku),
    constraint variants_product_fkey foreign key (product_id) references catalog.products (id),
    constraint variants_position_unique unique (product_id, position),
    constraint variants_price_not_negative check (price >= 0),
    constraint variants_tax_rate_known check (tax_rate in (8, 10))
);

-- inventory -----------------------------------------------------------------------------------------------------------

-- One row for each SKU. `version` counts its movements: every change of the two figures is one movement, one version.
create table inventory.stock (
    sku      text   not null,
    on_hand  bigint not null default 0,
    reserved bigint not null default 0,
    version  bigint not null default 0,
    constraint stock_pkey primary key (sku),
    constraint stock_on_hand_not_negative check (on_hand >= 0),
    constraint stock_reserved_not_negative check (reserved >= 0),
    constraint stock_reserved_within_on_hand check (reserved <= on_hand)
) with (fillfactor = 50);                             -- room for the next version beside the last: no index is touched

-- One row for each SKU of a reservation.
create table inventory.reservations (
    id         uuid        not null,
    sku        text        not null,
    quantity   bigint      not null,
    lines      smallint    not null default 1,        -- how many rows the reservation has when it is whole
    state      text        not null,
    purpose    text        not null,                  -- what it is for: an order (same id) or a hold made by staff
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint reservations_pkey primary key (id, sku),
    constraint reservations_quantity_positive check (quantity > 0),
    constraint reservations_state_known check (state in ('held', 'committed', 'released', 'expired')),
    constraint reservations_purpose_known check (purpose in ('order', 'staff'))
) with (fillfactor = 90);
create index reservations_held_index on inventory.reservations (sku) where state = 'held';
create index reservations_expiry_index on inventory.reservations (expires_at) where state = 'held';

-- The ledger that explains every change of stock; append-only.
create table inventory.movements (
    sku            text        not null,
    version        bigint      not null,              -- the version of the stock row that this movement made
    kind           text        not null,
    on_hand_delta  bigint      not null,
    reserved_delta bigint      not null,
    reservation_id uuid,
    reference      text,                              -- the operation's own id: a delivery note, an idempotency key
    reason         text,
    at             timestamptz not null default now(),
    constraint movements_pkey primary key (sku, version),
    constraint movements_kind_known check (kind in ('received', 'reserved', 'released', 'expired', 'committed', 'adjusted'))
);
create unique index movements_reference_unique on inventory.movements (sku, kind, reference) where reference is not null;

create function inventory.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'inventory.movements is append-only';
end $$;
create trigger movements_append_only before update or delete on inventory.movements
    for each row execute function inventory.refuse_change();

-- Whoever changes stock without the journal (a hand at the database) makes a movement all the same: a new version,
-- which the SKU's actor will notice, and a line of the ledger, which the audit will find.
create function inventory.record_change_by_hand() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        new.version := old.version + 1;
        insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, reason)
        values (new.sku, new.version, 'adjusted', new.on_hand - old.on_hand, new.reserved - old.reserved,
                'changed by hand in the database by ' || session_user);
    elsif new.on_hand <> 0 or new.reserved <> 0 then
        new.version := 1;
        insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, reason)
        values (new.sku, new.version, 'adjusted', new.on_hand, new.reserved,
                'made by hand in the database by ' || session_user);
    end if;
    return new;
end $$;
-- Asked in the condition, so that the journal's own updates never enter the function.
create trigger stock_changed_by_hand before insert or update on inventory.stock
    for each row when (current_setting('shobai.journal', true) is distinct from 'on')
    execute function inventory.record_change_by_hand();

-- orders --------------------------------------------------------------------------------------------------------------

-- An order's id is also the id of its stock reservation.
create table orders.orders (
    id              uuid        not null,
    customer_id     uuid        not null,
    idempotency_key text        not null,
    request_hash    bytea       not null,             -- SHA-256 of the request, to know it from another one with the same key
    status          text        not null,
    total           bigint      not null,             -- yen, tax included
    tax             json        not null,             -- [{"rate", "base", "amount"}]
    payment         json        not null,             -- the payment as it was opened: method, slip or reference
    payment_status  text        not null,             -- what became of it
    created_at      timestamptz not null,
    expires_at      timestamptz,                      -- when it lapses while it awaits payment; null: it never awaited any
    changed_at      timestamptz not null,             -- the last change of status
    stock_settled   boolean     not null default false, -- the reservation has followed the status to its end
    constraint orders_pkey primary key (id),
    constraint orders_idempotency_key_unique unique (customer_id, idempotency_key),
    constraint orders_status_known check (status in ('awaiting_payment', 'confirmed', 'cancelled', 'expired')),
    constraint orders_payment_status_known check (payment_status in ('pending', 'captured', 'refunded', 'cancelled')),
    constraint orders_total_not_negative check (total >= 0),
    constraint orders_awaiting_payment_lapse check (status <> 'awaiting_payment' or expires_at is not null)
) with (fillfactor = 90);
create index orders_customer_index on orders.orders (customer_id, id);
create index orders_expiry_index on orders.orders (expires_at) where status = 'awaiting_payment';
create index orders_unsettled_index on orders.orders (changed_at) where not stock_settled and status <> 'awaiting_payment';

create table orders.order_lines (
    order_id   uuid     not null,
    sku        text     not null,
    name       text     not null,
    quantity   bigint   not null,
    unit_price bigint   not null,                     -- yen, tax included
    tax_rate   smallint not null,
    constraint order_lines_pkey primary key (order_id, sku),
    constraint order_lines_quantity_positive check (quantity > 0)
);

-- What happened to an order after it was placed; that it was placed stands in its own row.
create table orders.order_history (
    order_id uuid        not null,
    step     smallint    not null,                    -- 1, 2, 3, …
    status   text        not null,
    reason   text        not null,
    at       timestamptz not null,
    constraint order_history_pkey primary key (order_id, step)
);

-- The outbox: facts written in the transaction of the change that they report, read in commit order.
create table orders.events (
    position       bigint      not null generated always as identity,
    transaction_id xid8        not null default pg_current_xact_id(),
    id             uuid        not null,
    name           text        not null,              -- for example order.created
    version        smallint    not null,
    order_id       uuid        not null,
    payload        json        not null,
    at             timestamptz not null,
    constraint events_pkey primary key (position)
);
