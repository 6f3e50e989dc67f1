-- Places many orders at once, each with its lines and its events; an order whose key the customer
-- has used before stays out with all that belongs to it, because everything joins what was placed. So does one that
-- got here so late that its stock was given back.
-- orders:  $1 id   $2 customer id   $3 key   $4 request hash   $5 status   $6 total   $7 tax (json)   $8 payment (json)
--          $9 payment status   $10 created at   $11 expires at, or null   $12 sale id, or null
-- lines:   $13 order id   $14 sku   $15 name   $16 quantity   $17 unit price   $18 tax rate   $19 position
-- events:  $20 id   $21 name   $22 version   $23 order id   $24 payload (json)
with placed as (
    insert into orders.orders
           (id, customer_id, idempotency_key, request_hash, status, total, tax, payment, payment_status,
            created_at, expires_at, changed_at, sale_id)
    select placement.id, customer_id, key, request_hash, status, total, tax::json, payment::json, payment_status,
           created_at, expires_at, created_at, sale_id
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::text[], $8::text[],
                  $9::text[], $10::timestamptz[], $11::timestamptz[], $12::uuid[])
           as placement (id, customer_id, key, request_hash, status, total, tax, payment, payment_status, created_at,
                         expires_at, sale_id)
     where not exists (select from orders.abandoned where abandoned.order_id = placement.id)
    on conflict (customer_id, idempotency_key) do nothing
    returning id, created_at
), lined as (
    insert into orders.order_lines (order_id, sku, name, quantity, unit_price, tax_rate, position)
    select line.*
      from unnest($13::uuid[], $14::text[], $15::text[], $16::bigint[], $17::bigint[], $18::smallint[], $19::smallint[])
           as line (order_id, sku, name, quantity, unit_price, tax_rate, position)
      join placed on placed.id = line.order_id
), told as (
    insert into orders.events (id, name, version, order_id, payload, at)
    select event.id, event.name, event.version, event.order_id, event.payload::json, placed.created_at
      from unnest($20::uuid[], $21::text[], $22::smallint[], $23::uuid[], $24::text[]) with ordinality
           as event (id, name, version, order_id, payload, position)
      join placed on placed.id = event.order_id
     order by event.position
)
select id from placed
