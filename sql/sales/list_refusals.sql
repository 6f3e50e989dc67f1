-- What a customer was refused in a sale, and by which gate.
-- $1 sale  $2 customer
select gate, count, first_at, last_at from sales.refusals where sale_id = $1 and customer_id = $2 order by first_at, spell
