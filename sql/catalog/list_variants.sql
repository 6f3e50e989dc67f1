-- The variants of many products, each product's in the order in which they are shown.
-- $1 products
select sku, product_id, attributes, price, tax_rate
  from catalog.variants
 where product_id = any($1)
 order by product_id, position
