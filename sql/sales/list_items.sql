-- The items of sales, in their order.
-- $1 sales
select sale_id, sku, price, allotment, stopped from sales.items where sale_id = any ($1::uuid[]) order by sale_id, position
