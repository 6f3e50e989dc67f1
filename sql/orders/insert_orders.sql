-- Places many orders at once, each with its lines and its events; an order whose key the customer
-- has used before stays out with all that belongs to it, because everything joins what was placed. So does one that
-- got here so late that its stock was given back.
-- orders:   $1 ids  $2 customers  $3 keys  $4 request hashes  $5 statuses  $6 totals  $7 taxes (json)
--           $8 payments (json)  $9 payment statuses  $10 times of placing  $11 times of lapsing or null
--           $24 sales or null
-- lines:    $12 orders  $13 skus  $14 names  $15 quantities  $16 unit prices  $17 tax rates  $23 positions
-- events:   $18 orders  $19 ids  $20 names  $21 payloads (json)  $22 version of all
with placed as (
    insert into orders.orders
           (id, customer_id, idempotency_key, request_hash, status, total, tax, payment, payment_status,
            created_at, expires_at, changed_at, sale_id)
    select placement.id, customer_id, key, request_hash, status, total, tax::json, payment::json, payment_status,
           created_at, expires_at, created_at, sale_id
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::text[], $8::text[],
                  $9::text[], $10::timestamptz[], $11::timestamptz[], $24::uuid[])
           as placement (id, customer_id, key, request_hash, status, total, tax, payment, payment_status, created_at,
                         expires_at, sale_id)
     where not exists (select from orders.abandoned where abandoned.order_id = placement.id)
    on conflict (customer_id, idempotency_key) do nothing
    returning id, created_at
), lined as (
    insert into orders.order_lines (order_id, sku, name, quantity, unit_price, tax_rate, position)
    select line.*
      from unnest($12::uuid[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $17::smallint[], $23::smallint[])
           as line (order_id, sku, name, quantity, unit_price, tax_rate, position)
      join placed on placed.id = line.order_id
), told as (
    insert into orders.events (id, name, version, order_id, payload, at)
    select event.id, event.name, $22::smallint, event.order_id, event.payload::json, placed.created_at
      from unnest($19::uuid[], $20::text[], $18::uuid[], $21::text[]) with ordinality
           as event (id, name, order_id, payload, position)
      join placed on placed.id = event.order_id
     order by event.position
)
select id from placed
