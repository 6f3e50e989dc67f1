-- The lines of a reservation, whatever became of them, each with the number of lines of the whole.
-- $1 reservation
select sku, quantity, lines from inventory.reservations where id = $1
