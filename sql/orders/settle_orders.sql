-- Notes that the stock has followed these orders to these statuses, unless they have gone on since.
-- $1 orders  $2 statuses
update orders.orders
   set stock_settled = true
  from unnest($1::uuid[], $2::text[]) as settled (order_id, status)
 where orders.id = settled.order_id and orders.status = settled.status
returning orders.id
