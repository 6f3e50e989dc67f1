-- Places many orders at once, each with its lines, its first history and its events; an order whose key the customer
-- has used before stays out with all that belongs to it, because everything joins what was placed.
-- orders:   $1 ids  $2 customers  $3 keys  $4 request hashes  $5 statuses  $6 totals  $7 taxes (json)
--           $8 payments (json)  $9 payment statuses  $10 times of placing  $11 times of lapsing or null
-- lines:    $12 orders  $13 skus  $14 names  $15 quantities  $16 unit prices  $17 tax rates
-- history and events, in pairs:  $18 orders  $19 steps  $20 statuses  $21 reasons  $22 event ids  $23 event names
--           $24 event payloads (json)  $25 version of the events
with placed as (
    insert into orders.orders
           (id, customer_id, idempotency_key, request_hash, status, total, tax, payment, payment_status,
            created_at, expires_at, changed_at)
    select placement.id, customer_id, key, request_hash, status, total, tax::jsonb, payment::jsonb, payment_status,
           created_at, expires_at, created_at
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::text[], $8::text[],
                  $9::text[], $10::timestamptz[], $11::timestamptz[])
           as placement (id, customer_id, key, request_hash, status, total, tax, payment, payment_status, created_at,
                         expires_at)
    on conflict (customer_id, idempotency_key) do nothing
    returning id, created_at
), lined as (
    insert into orders.order_lines (order_id, sku, name, quantity, unit_price, tax_rate)
    select line.*
      from unnest($12::uuid[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::smallint[])
           as line (order_id, sku, name, quantity, unit_price, tax_rate)
      join placed on placed.id = line.order_id
), remembered as (
    insert into orders.order_history (order_id, step, status, reason, at)
    select history.order_id, history.step, history.status, history.reason, placed.created_at
      from unnest($18::uuid[], $19::smallint[], $20::text[], $21::text[])
           as history (order_id, step, status, reason)
      join placed on placed.id = history.order_id
), told as (
    insert into orders.events (id, name, version, order_id, payload, at)
    select event.id, event.name, $25::smallint, event.order_id, event.payload::jsonb, placed.created_at
      from unnest($22::uuid[], $23::text[], $18::uuid[], $24::text[]) with ordinality
           as event (id, name, order_id, payload, position)
      join placed on placed.id = event.order_id
     order by event.position
)
select id from placed
