-- A SKU's figures.
-- $1 sku
select on_hand, reserved, version from inventory.stock where sku = $1
