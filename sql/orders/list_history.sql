-- What happened to an order after it was placed, oldest first.
-- $1 order
select status, payment_status, reason, at from orders.order_history where order_id = $1 order by step
