-- The versions of many SKUs as they are now; a SKU that is not in stock is left out.
-- $1 skus
select sku, version from inventory.stock where sku = any ($1::text[])
