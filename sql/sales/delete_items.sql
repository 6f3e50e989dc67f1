-- Takes a draft's items away, before those of its new plan are entered.
-- $1 sale
delete from sales.items where sale_id = $1
