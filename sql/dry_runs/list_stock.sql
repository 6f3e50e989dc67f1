-- The stock of SKUs.
-- $1 skus
select sku, on_hand, reserved, allotted, version from inventory.stock where sku = any($1) order by sku
