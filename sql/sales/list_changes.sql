-- What was done to a sale, oldest first.
-- $1 sale
select action, sku, actor, proposed_by, reason, before, after, at from sales.history where of_sale = $1 order by position
