-- Puts a product on sale with all its variants, or, when its id is taken, changes nothing and returns nothing.
-- $1 id  $2 name  $3 description  $4 category
-- variants in the order in which they are shown:  $5 skus  $6 attributes  $7 prices  $8 tax rates
with product as (
    insert into catalog.products (id, name, description, category)
    values ($1, $2, $3, $4)
    on conflict (id) do nothing
    returning id
), variants as (
    insert into catalog.variants (sku, product_id, position, attributes, price, tax_rate)
    select variant.sku, product.id, variant.position, variant.attributes, variant.price, variant.tax_rate
      from unnest($5::text[], $6::jsonb[], $7::bigint[], $8::smallint[]) with ordinality
           as variant (sku, attributes, price, tax_rate, position)
     cross join product
)
select id from product
