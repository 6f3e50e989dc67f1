-- Pieces of sales as orders know them, and those that one side knows already and the other does not know yet.
-- $1 sales  $2 the least id of an order that may still be coming  $3 since when an order that changed may be without its stock's following
with live as (
    -- Summed up by itself, since it is nearly all that there is.
    select placed.sale_id, line.sku, sum(line.quantity) as live, 0 as coming, 0 as leaving, 0 as behind
      from orders.orders as placed
      join orders.order_lines as line on line.order_id = placed.id
     where placed.sale_id = any ($1::uuid[]) and placed.status in ('awaiting_payment', 'confirmed')
     group by placed.sale_id, line.sku
), coming as (
    select held.sale_id, held.sku, 0, held.quantity, 0, 0
      from inventory.reservations as held
     where held.sale_id = any ($1::uuid[]) and held.state = 'held' and held.purpose = 'order' and held.id >= $2
       and not exists (select from orders.orders as placed where placed.id = held.id)
), leaving as (
    select kept.sale_id, kept.sku, 0, 0, kept.quantity, 0
      from orders.orders as placed
      join inventory.reservations as kept
        on kept.id = placed.id and kept.sale_id = placed.sale_id and kept.state in ('held', 'committed')
     where placed.sale_id = any ($1::uuid[]) and not placed.stock_settled
       and placed.status in ('cancelled', 'expired') and placed.changed_at >= $3
), behind as (
    select placed.sale_id, line.sku, 0, 0, 0, line.quantity
      from orders.orders as placed
      join orders.order_lines as line on line.order_id = placed.id
      join inventory.reservations as lost
        on lost.id = placed.id and lost.sku = line.sku and lost.state in ('released', 'expired')
     where placed.sale_id = any ($1::uuid[])
       and (placed.status = 'confirmed' and not placed.stock_settled and placed.changed_at >= $3
            or placed.status = 'awaiting_payment' and placed.expires_at <= now())
), told as (
    select * from live union all select * from coming union all select * from leaving union all select * from behind
)
select sale_id, sku, sum(live)::bigint as live, sum(coming)::bigint as coming, sum(leaving)::bigint as leaving,
       sum(behind)::bigint as behind
  from told
 group by sale_id, sku
