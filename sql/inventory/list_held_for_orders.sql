-- Reservations for orders that are still held, oldest first, each with its sale. Their ids are UUIDv7 and tell when the
-- order was begun, so that a row that was written late (a commit that was tried again) still has its position.
-- $1 after this id  $2 before this id  $3 how many
select distinct on (id) id, sale_id from inventory.reservations
 where state = 'held' and purpose = 'order' and id > $1 and id < $2
 order by id, sale_id nulls last
 limit $3
