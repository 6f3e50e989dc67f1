-- Order lines without exactly one reservation of the same SKU and quantity that is where the order's status wants it.
-- An order whose stock has yet to follow (stock_settled is false) may be one step behind, for a while.
select format('%s %s', line.order_id, line.sku) as subject,
       format('%s of an order that is %s, reservation: %s', line.quantity, placed.status,
              coalesce(reservation.quantity || ' ' || reservation.state, 'none')) as finding
  from orders.order_lines as line
  join orders.orders as placed on placed.id = line.order_id
  left join inventory.reservations as reservation
         on reservation.id = line.order_id and reservation.sku = line.sku
 where reservation.id is null
    or reservation.quantity <> line.quantity
    or reservation.purpose <> 'order'
    or (placed.stock_settled or placed.changed_at < now() - current_setting('shobai.audit_grace')::interval)
       and placed.status <> 'awaiting_payment' and reservation.state <> all (
           case placed.status when 'confirmed' then array['committed'] else array['released', 'expired'] end)
    or placed.status = 'awaiting_payment' and reservation.state <> 'held' and placed.expires_at > now()
 order by 1
