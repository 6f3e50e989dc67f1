-- Every order of a sale with its lines of the sale's SKUs and their reservations, in the order of placing.
-- $1 sale
select placed.id, placed.customer_id, placed.status, placed.payment_status, placed.payment ->> 'method' as method,
       placed.created_at, placed.changed_at, placed.stock_settled, line.sku, line.quantity, line.unit_price,
       line.price as sale_price, reservation.quantity as reserved, reservation.state as reservation_state,
       reservation.sale_id as reserved_in
  from orders.orders as placed
  left join (select line.order_id, line.sku, line.quantity, line.unit_price, line.position, item.price
               from orders.order_lines as line
               join sales.items as item on item.sale_id = $1 and item.sku = line.sku) as line
         on line.order_id = placed.id
  left join inventory.reservations as reservation on reservation.id = line.order_id and reservation.sku = line.sku
 where placed.sale_id = $1
 order by placed.id, line.position, line.sku
