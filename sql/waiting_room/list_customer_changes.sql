-- What became of the tickets of a customer in a sale.
-- $1 sale  $2 customer
select change.number::bigint, change.state, change.admitted_until, change.at
  from sales.entries as entry
  join sales.entry_changes as change on change.sale_id = entry.sale_id and change.number = entry.number
 where entry.sale_id = $1 and entry.customer_id = $2
 order by change.number, change.at
