-- The lines of a reservation as they are now.
-- $1 reservation
select sku, quantity, state, created_at, expires_at, sale_id from inventory.reservations where id = $1 order by sku
