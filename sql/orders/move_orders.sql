-- Changes the status of many orders at once, each only from a status from which it may change so and while its payment
-- is what it was taken for, with its history and its event. The stock has yet to follow.
-- $1 order id   $2 before, the statuses joined by commas   $3 after   $4 payment before   $5 payment status   $6 reason
-- $7 at   $8 event id   $9 event name   $10 event version   $11 payload (json)
with asked as (
    select *
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
                  $8::uuid[], $9::text[], $10::smallint[], $11::text[])
           as change (order_id, before, after, payment_before, payment_status, reason, at,
                      event_id, event_name, event_version, payload)
), moved as (
    update orders.orders
       set status = asked.after, payment_status = asked.payment_status, changed_at = asked.at, stock_settled = false
      from asked
     where orders.id = asked.order_id and orders.status = any (string_to_array(asked.before, ','))
       and orders.payment_status = asked.payment_before
    returning orders.id
), remembered as (
    insert into orders.order_history (order_id, step, status, payment_status, reason, at)
    select asked.order_id,
           (select coalesce(max(step), 0) + 1 from orders.order_history as history where history.order_id = asked.order_id),
           asked.after, asked.payment_status, asked.reason, asked.at
      from asked join moved on moved.id = asked.order_id
), told as (
    insert into orders.events (id, name, version, order_id, payload, at)
    select asked.event_id, asked.event_name, asked.event_version, asked.order_id, asked.payload::json, asked.at
      from asked join moved on moved.id = asked.order_id
)
select id from moved
