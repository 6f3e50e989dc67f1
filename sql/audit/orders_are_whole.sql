-- Orders whose lines do not add up to their total, whose history does not end at their status, or that no event told of.
select placed.id::text as subject,
       format('total %s, lines %s; status %s, history ends at %s; %s order.created', placed.total, lines.total,
              placed.status, coalesce(history.status, 'placing'), events.created) as finding
  from orders.orders as placed
  left join (select order_id, sum(unit_price * quantity) as total from orders.order_lines group by order_id) as lines
         on lines.order_id = placed.id
  left join (select distinct on (order_id) order_id, status from orders.order_history order by order_id, step desc) as history
         on history.order_id = placed.id
  left join (select order_id, count(*) as created from orders.events where name = 'order.created' group by order_id) as events
         on events.order_id = placed.id
 where lines.total is distinct from placed.total::numeric
    or placed.status <> coalesce(history.status, case when placed.expires_at is null then 'confirmed' else 'awaiting_payment' end)
    or events.created is distinct from 1
 order by 1
