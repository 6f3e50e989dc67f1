-- One product, without its variants.
-- $1 id
select id, name, description, category from catalog.products where id = $1
