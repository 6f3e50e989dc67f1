-- The lines of a reservation, in the order in which lines are decided.
-- $1 reservation
select sku, quantity, state, expires_at from inventory.reservations where id = $1 order by sku
