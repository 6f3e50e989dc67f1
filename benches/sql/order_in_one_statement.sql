-- An order in one statement: the fastest that one request at a time can do with a row lock.
-- $1 sku  $2 order and reservation  $3 customer  $4 payment (json)  $5 event payload (json)  $6 event
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
), placed as (
    insert into orders.orders (id, customer_id, idempotency_key, request_hash, status, total, tax, payment, payment_status,
                               created_at, expires_at, changed_at)
    select $2::uuid, $3::uuid, $2::uuid::text, '\x00', 'awaiting_payment', 1980,
           '[{"rate": 10, "base": 1980, "amount": 180}]', $4::text::json, 'pending', now(), now() + interval '1 hour', now()
      from moved
), lined as (
    insert into orders.order_lines (order_id, sku, name, quantity, unit_price, tax_rate)
    select $2::uuid, sku, 'lamp', 1, 1980, 10 from moved
), told as (
    insert into orders.events (id, name, version, order_id, payload, at)
    select $6::uuid, 'order.created', 1, $2::uuid, $5::text::json, now() from moved
)
select version from moved
