-- One order.
-- $1 order
select id, customer_id, status, total, tax, payment, payment_status, created_at, expires_at, sale_id
  from orders.orders
 where id = $1
