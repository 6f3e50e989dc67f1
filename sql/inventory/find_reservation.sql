-- The lines of a reservation, whatever became of them, each with what is true of the whole.
-- $1 reservation
select sku, quantity, lines, purpose from inventory.reservations where id = $1
