-- Enters many into waiting rooms. A customer who is entered already is left as is; a number that another customer has by now
-- is not returned.
-- $1 sales  $2 numbers  $3 customers  $4 times of joining
insert into sales.entries as entered (sale_id, number, customer_id, state, joined_at)
select entry.sale_id, entry.number, entry.customer_id, 'waiting', entry.joined_at
  from unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::timestamptz[]) as entry (sale_id, number, customer_id, joined_at)
on conflict (sale_id, number) do update
   set number = excluded.number
 where entered.customer_id = excluded.customer_id
returning sale_id, number::bigint
