-- The lines of a reservation, whatever became of them.
-- $1 reservation
select sku, quantity from inventory.reservations where id = $1
