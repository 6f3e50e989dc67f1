-- What became of a customer in a sale, step by step: of their tickets, of what was set aside for them, of their payments.

-- sales ---------------------------------------------------------------------------------------------------------------

-- What became of a ticket since it was handed out; append-only. What it is now stands with the ticket.
create table sales.entry_changes (
    sale_id        uuid        not null,
    number         integer     not null,
    at             timestamptz not null,
    state          text        not null,
    admitted_until timestamptz,
    constraint entry_changes_pkey primary key (sale_id, number, at)
);

-- inventory -----------------------------------------------------------------------------------------------------------

-- When a reservation was sold, given back or had lapsed; null while it is held.
alter table inventory.reservations add column ended_at timestamptz;

-- orders --------------------------------------------------------------------------------------------------------------

-- What the payment was after this step.
alter table orders.order_history add column payment_status text;
