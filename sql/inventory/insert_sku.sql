-- Begins to count pieces of a SKU, unless they are counted already.
-- $1 sku
insert into inventory.stock (sku) values ($1) on conflict (sku) do nothing
