-- A page of products in the order of their ids; a parameter that is null does not filter.
-- $1 after this id  $2 category  $3 pattern for name or description  $4 how many
select id, name, description, category
  from catalog.products
 where ($1::uuid is null or id > $1)
   and ($2::text is null or category = $2)
   and ($3::text is null or name ilike $3 or description ilike $3)
 order by id
 limit $4
