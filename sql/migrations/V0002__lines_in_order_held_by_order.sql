-- An order shows its lines as they were sent; those of before are shown by their SKU.
alter table orders.order_lines add column position smallint not null default 0;

-- The sweep looks for what is held for orders, by the time of their making; nobody looks for all holds of a SKU any more.
create index reservations_held_for_orders_index on inventory.reservations (id) where state = 'held' and purpose = 'order';
drop index inventory.reservations_held_index;
