-- Reservations that hold or took stock for an order that does not exist, although it had its time to appear.
select format('%s %s', reservation.id, reservation.sku) as subject,
       format('%s pieces %s for no order since %s', reservation.quantity, reservation.state, reservation.created_at) as finding
  from inventory.reservations as reservation
 where reservation.purpose = 'order' and reservation.state in ('held', 'committed')
   and reservation.created_at < now() - current_setting('shobai.audit_grace')::interval
   and not exists (select from orders.order_lines as line
                    where line.order_id = reservation.id and line.sku = reservation.sku)
 order by 1
