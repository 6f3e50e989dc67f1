-- The draw of a sale as it was published, once it was made.
-- $1 sale
select record::text from sales.draws where sale_id = $1
