-- Pieces of a sale that are held or sold for no order of the sale. An order that is being placed has its hold before its row.
-- $1 sale  $2 the least id of an order that may still be coming
select reservation.id, reservation.sku, reservation.quantity, reservation.state
  from inventory.reservations as reservation
  left join orders.orders as placed on placed.id = reservation.id
  left join orders.order_lines as line on line.order_id = placed.id and line.sku = reservation.sku
 where reservation.sale_id = $1 and reservation.state in ('held', 'committed')
   and (placed.sale_id is distinct from $1 or line.sku is null)
   and not (placed.id is null and reservation.state = 'held' and reservation.purpose = 'order' and reservation.id >= $2)
 order by reservation.id, reservation.sku
