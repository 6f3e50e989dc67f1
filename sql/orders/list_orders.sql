-- A customer's orders, newest first.
-- $1 customer  $2 only below this id, or null  $3 only with this status, or null  $4 how many  $5 only of this sale, or null
select id, customer_id, status, total, tax, payment, payment_status, created_at, expires_at, sale_id
  from orders.orders
 where customer_id = $1 and ($2::uuid is null or id < $2) and ($3::text is null or status = $3)
   and ($5::uuid is null or sale_id = $5)
 order by id desc
 limit $4
