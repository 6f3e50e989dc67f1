-- Everything on sale, for the price book; no parameters.
select id, name, description, category from catalog.products
