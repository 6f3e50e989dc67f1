-- One SKU's line of a reservation, in any state.
-- $1 reservation  $2 sku
select quantity, state, expires_at, sale_id from inventory.reservations where id = $1 and sku = $2
