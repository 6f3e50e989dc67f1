-- Idempotency keys under which a customer has more than one order.
select format('customer %s key %s', customer_id, idempotency_key) as subject,
       format('%s orders', count(*)) as finding
  from orders.orders
 group by customer_id, idempotency_key
having count(*) > 1
 order by 1
