-- Changes the status of many orders at once, each only from a status from which it may change so and while its payment
-- is what it was taken for, with its history and its event. The stock has yet to follow.
-- $1 orders  $2 statuses allowed before, joined by commas  $3 statuses after  $4 payment statuses  $5 reasons
-- $6 times  $7 event ids  $8 event names  $9 event payloads (json)  $10 version of the events
-- $11 payment statuses before
with asked as (
    select *
      from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[], $8::text[],
                  $9::text[], $11::text[])
           as change (order_id, before, after, payment_status, reason, at, event_id, event_name, payload, payment_before)
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
    select asked.event_id, asked.event_name, $10::smallint, asked.order_id, asked.payload::json, asked.at
      from asked join moved on moved.id = asked.order_id
)
select id from moved
