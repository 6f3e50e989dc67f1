-- Holds whose time has passed, the longest overdue first.
-- $1 how many  $2 skus to leave out
select id, sku from inventory.reservations
 where state = 'held' and expires_at <= now() and sku <> all ($2::text[])
 order by expires_at
 limit $1
