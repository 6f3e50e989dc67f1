-- What became of many who waited: what each is now, and every change for those who ask why. Twice is the same as once.
-- $1 sales  $2 numbers  $3 states  $4 admitted until or null  $5 times; the changes of a ticket in their order
with change as (
    select *
      from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[])
           with ordinality as change (sale_id, number, state, admitted_until, at, place)
), remembered as (
    insert into sales.entry_changes (sale_id, number, at, state, admitted_until)
    select sale_id, number, at, state, admitted_until from change
    on conflict do nothing
)
update sales.entries as entry
   set state = last.state, admitted_until = last.admitted_until
  from (select distinct on (sale_id, number) * from change order by sale_id, number, place desc) as last
 where entry.sale_id = last.sale_id and entry.number = last.number
