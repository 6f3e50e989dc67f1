-- Forgets orders that were ruled out so long ago that no commit can still be on its way.
delete from orders.abandoned where at < now() - interval '7 days'
