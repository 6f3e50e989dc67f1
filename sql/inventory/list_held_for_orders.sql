-- Reservations for orders that are still held, in the order of their making (their ids are UUIDv7).
-- $1 made before  $2 after this id  $3 how many
select distinct id from inventory.reservations
 where state = 'held' and purpose = 'order' and created_at < $1 and id > $2
 order by id
 limit $3
