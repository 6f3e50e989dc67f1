-- What became of many who waited.
-- $1 sales  $2 numbers  $3 states  $4 admitted until or null
update sales.entries as entry
   set state = change.state, admitted_until = change.admitted_until
  from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[]) as change (sale_id, number, state, admitted_until)
 where entry.sale_id = change.sale_id and entry.number = change.number
