-- Which of these orders exist.
-- $1 orders
select id from orders.orders where id = any ($1::uuid[])
