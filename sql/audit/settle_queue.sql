-- How many of those who waited for a sale came to which end.
-- $1 sale
select state, count(*) as entries from sales.entries where sale_id = $1 group by state order by state
