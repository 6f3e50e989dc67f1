-- A customer's orders, newest first.
-- $1 customer  $2 only below this id, or null  $3 only with this status, or null  $4 how many
select id, customer_id, status, total, tax, payment, payment_status, created_at, expires_at, sale_id
  from orders.orders
 where customer_id = $1 and ($2::uuid is null or id < $2) and ($3::text is null or status = $3)
 order by id desc
 limit $4
