-- How many orders of a sale have pieces that are not sold yet, and until when the last of them has.
-- $1 sale
select count(distinct id) as orders, max(expires_at) as until
  from inventory.reservations
 where sale_id = $1 and state = 'held'
