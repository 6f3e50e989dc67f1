-- Adds refusals to those that are counted already.
-- $1 sales  $2 customers  $3 gates  $4 counts  $5 first times  $6 last times
insert into sales.refusals as known (sale_id, customer_id, gate, count, first_at, last_at)
select refused.*
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[]) as refused
on conflict (sale_id, customer_id, gate)
   do update set count = known.count + excluded.count, first_at = least(known.first_at, excluded.first_at),
                 last_at = greatest(known.last_at, excluded.last_at)
