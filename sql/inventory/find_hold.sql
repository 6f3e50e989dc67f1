-- One SKU's part of a reservation, whatever became of it.
-- $1 reservation  $2 sku
select quantity, state, expires_at, sale_id from inventory.reservations where id = $1 and sku = $2
