-- The live reservation of one order of a sale with its claimants.
-- $1 sale  $2 id
select id, sku, quantity, state, claimants
  from inventory.reservations
 where id = $2 and sale_id = $1 and state in ('held', 'committed')
