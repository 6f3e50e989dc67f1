-- Holds whose time has passed, the longest overdue first.
-- $1 how many
select id, sku from inventory.reservations
 where state = 'held' and expires_at <= now()
 order by expires_at
 limit $1
