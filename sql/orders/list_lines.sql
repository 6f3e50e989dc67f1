-- The lines of many orders, in the order in which they were sent.
-- $1 orders
select order_id, sku, name, quantity, unit_price, tax_rate
  from orders.order_lines
 where order_id = any ($1::uuid[])
 order by order_id, position, sku
