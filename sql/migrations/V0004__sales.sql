-- Flash sales: pieces set apart for a sale, the sales themselves, who waits for them and who was refused.

-- inventory -----------------------------------------------------------------------------------------------------------

-- Pieces on hand that are set apart for a sale and not promised yet; only the sale's orders can have them.
alter table inventory.stock
    add column allotted bigint not null default 0,
    add constraint stock_allotted_not_negative check (allotted >= 0),
    add constraint stock_promised_within_on_hand check (reserved + allotted <= on_hand),
    drop constraint stock_reserved_within_on_hand;

alter table inventory.movements
    add column allotted_delta bigint not null default 0,
    drop constraint movements_kind_known,
    add constraint movements_kind_known check (kind in ('received', 'reserved', 'released', 'expired', 'committed',
                                                        'adjusted', 'allotted', 'returned'));

-- What a sale got of a SKU, and what became of it: allotment = sold + held + returned + what remains.
create table inventory.allotments (
    sale_id   uuid        not null,
    sku       text        not null,
    allotment bigint      not null,
    held      bigint      not null default 0,         -- in live reservations
    sold      bigint      not null default 0,         -- in committed reservations
    returned  bigint      not null default 0,         -- given back to general stock, at the close or later
    lapsed    bigint      not null default 0,         -- counts pieces that were held or sold and came back
    made_at   timestamptz not null default now(),
    closed_at timestamptz,
    constraint allotments_pkey primary key (sale_id, sku),
    constraint allotments_figures_not_negative check (held >= 0 and sold >= 0 and returned >= 0 and lapsed >= 0),
    constraint allotments_not_exceeded check (sold + held + returned <= allotment),
    constraint allotments_closed_without_remainder check (closed_at is null or sold + held + returned = allotment)
) with (fillfactor = 50);
-- A SKU belongs to one sale at a time.
create unique index allotments_open_unique on inventory.allotments (sku) where closed_at is null;

alter table inventory.reservations
    add column sale_id   uuid,                        -- whose allotment the pieces come from
    add column claimants text[];                      -- whom they count for: the customer, a phone, a card, an admission
create index reservations_sale_index on inventory.reservations (sale_id, state) where sale_id is not null;

create or replace function inventory.record_change_by_hand() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        new.version := old.version + 1;
        insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, allotted_delta, reason)
        values (new.sku, new.version, 'adjusted', new.on_hand - old.on_hand, new.reserved - old.reserved,
                new.allotted - old.allotted, 'changed by hand in the database by ' || session_user);
    elsif new.on_hand <> 0 or new.reserved <> 0 or new.allotted <> 0 then
        new.version := 1;
        insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, allotted_delta, reason)
        values (new.sku, new.version, 'adjusted', new.on_hand, new.reserved, new.allotted,
                'made by hand in the database by ' || session_user);
    end if;
    return new;
end $$;

-- orders --------------------------------------------------------------------------------------------------------------

alter table orders.orders add column sale_id uuid;
create index orders_sale_index on orders.orders (sale_id, id) where sale_id is not null;

-- sales ---------------------------------------------------------------------------------------------------------------

create schema sales;

create table sales.sales (
    id         uuid        not null,
    name       text        not null,
    status     text        not null,
    opens_at   timestamptz not null,
    closes_at  timestamptz not null,
    plan       jsonb       not null,                  -- limit, hold times, konbini, admission
    stopped    boolean     not null default false,    -- the kill switch of the whole sale
    version    bigint      not null default 1,        -- counts the changes
    seed       bytea       not null,                  -- of the draw: its SHA-256 is published before, itself after
    drains_until timestamptz,                         -- when draining ends though holds are left
    stock_returned boolean not null default false,    -- what it did not sell has gone back to general stock
    created_at timestamptz not null,
    constraint sales_pkey primary key (id),
    constraint sales_window_forward check (opens_at < closes_at),
    constraint sales_status_known check (status in ('draft', 'scheduled', 'armed', 'open', 'paused', 'draining', 'closed',
                                                    'settled', 'cancelled'))
);
create index sales_unfinished_index on sales.sales (opens_at) where status not in ('settled', 'cancelled') or not stock_returned;

create table sales.items (
    sale_id   uuid     not null,
    sku       text     not null,
    position  smallint not null,                      -- order of showing
    price     bigint   not null,                      -- yen, tax included
    allotment bigint   not null,                      -- as planned; what was set apart is inventory's
    stopped   boolean  not null default false,        -- the kill switch of this SKU
    constraint items_pkey primary key (sale_id, sku),
    constraint items_sale_fkey foreign key (sale_id) references sales.sales (id),
    constraint items_price_not_negative check (price >= 0),
    constraint items_allotment_positive check (allotment > 0)
);

-- Who did what to a sale, when and why, and what it changed; append-only. A null sale: the switch for everything.
create table sales.changes (
    position bigint      not null generated always as identity,
    sale_id  uuid,
    version  bigint,                                  -- the version of the sale that this change made
    action   text        not null,
    sku      text,
    actor    uuid,                                    -- null: the engine itself, by the schedule
    reason   text        not null,
    before   jsonb       not null,
    after    jsonb       not null,
    at       timestamptz not null,
    constraint changes_pkey primary key (position),
    constraint changes_version_unique unique (sale_id, version)
);
create function sales.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'sales.changes is append-only';
end $$;
create trigger changes_append_only before update or delete on sales.changes
    for each row execute function sales.refuse_change();

-- The switch for everything: one row.
create table sales.switch (
    id      boolean not null default true,
    stopped boolean not null default false,
    constraint switch_pkey primary key (id),
    constraint switch_is_one check (id)
);
insert into sales.switch default values;

-- Who waits for a sale, in the order of coming.
create table sales.entries (
    sale_id        uuid        not null,
    number         integer     not null,              -- of the ticket, from 1
    customer_id    uuid        not null,
    state          text        not null,
    joined_at      timestamptz not null,
    admitted_until timestamptz,
    constraint entries_pkey primary key (sale_id, number)
) with (fillfactor = 80);
create index entries_customer_index on sales.entries (customer_id, sale_id);

-- The draw of a waiting room as it is published, seed and all.
create table sales.draws (
    sale_id  uuid        not null,
    record   json        not null,
    drawn_at timestamptz not null,
    constraint draws_pkey primary key (sale_id)
);

-- Refusals, summed up for each customer and gate; written behind the answers.
create table sales.refusals (
    sale_id     uuid        not null,
    customer_id uuid        not null,
    gate        text        not null,
    count       bigint      not null,
    first_at    timestamptz not null,
    last_at     timestamptz not null,
    constraint refusals_pkey primary key (sale_id, customer_id, gate)
) with (fillfactor = 70);
