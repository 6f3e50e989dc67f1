-- One of the SKUs that is on sale already, to name it in the refusal.
-- $1 skus
select sku from catalog.variants where sku = any($1) order by sku limit 1
