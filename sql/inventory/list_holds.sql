-- The lines of a reservation as they are now.
-- $1 reservation
select sku, quantity, state, created_at, expires_at, ended_at, sale_id, claimants
  from inventory.reservations
 where id = $1
 order by sku
