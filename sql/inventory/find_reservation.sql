-- The lines of a reservation, in any state, each with the number of lines and the purpose of the whole.
-- $1 reservation
select sku, quantity, lines, purpose from inventory.reservations where id = $1
