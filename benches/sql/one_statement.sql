-- A reservation in one statement: the fastest that one request at a time can do with a row lock.
-- $1 sku  $2 reservation
with moved as (
    update inventory.stock set reserved = reserved + 1, version = version + 1
     where sku = $1 and on_hand - reserved >= 1
    returning sku, version
), recorded as (
    insert into inventory.movements (sku, version, kind, on_hand_delta, reserved_delta, reservation_id)
    select sku, version, 'reserved', 0, 1, $2::uuid from moved
), made as (
    insert into inventory.reservations (id, sku, quantity, state, purpose, expires_at)
    select $2::uuid, sku, 1, 'held', 'order', now() + interval '1 hour' from moved
)
select version from moved
