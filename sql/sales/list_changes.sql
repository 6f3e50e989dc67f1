-- What was done to a sale, oldest first.
-- $1 sale
select action, sku, actor, proposed_by, reason, before, after, at from sales.changes where sale_id = $1 order by position
