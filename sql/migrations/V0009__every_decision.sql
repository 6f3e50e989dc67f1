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

-- Refusals of one customer by one gate are summed up for a second each, so that they stand between what else happened; the last
-- of twenty goes on for as long as they do.
alter table sales.refusals
    add column spell smallint not null default 1,     -- 1 to 20
    drop constraint refusals_pkey,
    add constraint refusals_pkey primary key (sale_id, customer_id, gate, spell);

-- What was done to each sale, and to the switch for everything while there was the sale.
create view sales.history as
select sale_id as of_sale, position, action, sku, actor, proposed_by, reason, before, after, at
  from sales.changes
 where sale_id is not null
 union all
select sale.id, change.position, change.action || '-everything', change.sku, change.actor, change.proposed_by, change.reason,
       change.before, change.after, change.at
  from sales.sales as sale
  join sales.changes as change on change.sale_id is null and change.at >= sale.created_at
 where change.at <= (select coalesce(max(at), now()) from sales.changes
                      where sale_id = sale.id and action in ('settle', 'cancel'));

-- inventory -----------------------------------------------------------------------------------------------------------

-- When a reservation was sold, given back or had lapsed; null while it is held.
alter table inventory.reservations add column ended_at timestamptz;

-- orders --------------------------------------------------------------------------------------------------------------

-- What the payment was after this step.
alter table orders.order_history add column payment_status text;
