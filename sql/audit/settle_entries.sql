-- Who waited for a sale, by their numbers, and until when they were let in.
-- $1 sale
select number::bigint, customer_id, state, admitted_until from sales.entries where sale_id = $1 order by number
