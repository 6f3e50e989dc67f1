-- How many orders of a sale hold pieces that are not sold yet, and when the last of them expires.
-- $1 sale
select count(distinct id) as orders, max(expires_at) as until
  from inventory.reservations
 where sale_id = $1 and state = 'held'
