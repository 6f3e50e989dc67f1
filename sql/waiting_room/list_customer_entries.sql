-- The tickets of a customer in the waiting room of a sale.
-- $1 sale  $2 customer
select number::bigint, customer_id, state, joined_at, admitted_until
  from sales.entries
 where sale_id = $1 and customer_id = $2
 order by number
