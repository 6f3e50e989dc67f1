-- Writes the refusals of a second down, after those that are known; the twentieth spell takes in all that come after it.
-- $1 sales  $2 customers  $3 gates  $4 counts  $5 first times  $6 last times
insert into sales.refusals as known (sale_id, customer_id, gate, spell, count, first_at, last_at)
select refused.sale_id, refused.customer_id, refused.gate,
       least(20, 1 + coalesce((select max(before.spell) from sales.refusals as before
                                where before.sale_id = refused.sale_id and before.customer_id = refused.customer_id
                                  and before.gate = refused.gate), 0)),
       refused.count, refused.first_at, refused.last_at
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[])
       as refused (sale_id, customer_id, gate, count, first_at, last_at)
on conflict (sale_id, customer_id, gate, spell)
   do update set count = known.count + excluded.count, first_at = least(known.first_at, excluded.first_at),
                 last_at = greatest(known.last_at, excluded.last_at)
