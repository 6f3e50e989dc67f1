-- Rules out that those of these orders that do not exist ever will, and tells which they are. Exact only under the lock
-- of `lock_abandoned.sql`: what was placed before it is seen here, and what is placed after it sees this.
-- $1 orders
with absent as (
    select id from unnest($1::uuid[]) as asked (id)
     where not exists (select from orders.orders where orders.id = asked.id)
), ruled_out as (
    insert into orders.abandoned (order_id) select id from absent
    on conflict (order_id) do nothing
)
select id from absent
