-- Pieces of a sale that are held or sold for no order of the sale.
-- $1 sale
select reservation.id, reservation.sku, reservation.quantity, reservation.state
  from inventory.reservations as reservation
 where reservation.sale_id = $1 and reservation.state in ('held', 'committed')
   and not exists (select from orders.orders as placed
                     join orders.order_lines as line on line.order_id = placed.id and line.sku = reservation.sku
                    where placed.id = reservation.id and placed.sale_id = $1)
 order by reservation.id, reservation.sku
