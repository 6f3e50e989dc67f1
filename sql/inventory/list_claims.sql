-- The live reservations of a sale with their claimants.
-- $1 sale
select id, sku, quantity, state, claimants
  from inventory.reservations
 where sale_id = $1 and state in ('held', 'committed')
