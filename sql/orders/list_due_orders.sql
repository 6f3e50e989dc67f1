-- Orders that await a payment which did not come in time, the longest overdue first.
-- $1 how many
select id from orders.orders
 where status = 'awaiting_payment' and expires_at <= now()
 order by expires_at
 limit $1
