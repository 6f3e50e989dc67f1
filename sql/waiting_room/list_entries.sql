-- Who waits or waited for a sale.
-- $1 sale
select number::bigint, customer_id, state, joined_at, admitted_until from sales.entries where sale_id = $1 order by number
