-- Since when pieces of a sale are held: the oldest reservation, and the one in the middle.
-- $1 sale
select min(created_at) as oldest_made_at, percentile_disc(0.5) within group (order by created_at) as median_made_at
  from inventory.reservations
 where sale_id = $1 and state = 'held'
