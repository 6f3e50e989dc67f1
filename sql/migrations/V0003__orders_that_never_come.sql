-- Orders that can never come to be any more, because the stock that was held for them was given back. A commit that got
-- stuck on its way finds its order here and leaves it out.
create table orders.abandoned (
    order_id uuid        not null,
    at       timestamptz not null default now(),
    constraint abandoned_pkey primary key (order_id)
);
create index abandoned_at_index on orders.abandoned (at);
