-- What was done to a sale, oldest first, as text.
-- $1 sale
select action, sku, actor, proposed_by, reason, before::text, after::text, at
  from sales.history
 where of_sale = $1
 order by position
