-- Which of many idempotency keys were used, and for which order.
-- $1 customers  $2 keys
select asked.position, orders.id, orders.request_hash
  from unnest($1::uuid[], $2::text[]) with ordinality as asked (customer_id, key, position)
  join orders.orders on orders.customer_id = asked.customer_id and orders.idempotency_key = asked.key
