-- Enters the items of a plan.
-- $1 sale  $2 skus  $3 prices  $4 allotments
insert into sales.items (sale_id, sku, price, allotment, position)
select $1, item.sku, item.price, item.allotment, item.position
  from unnest($2::text[], $3::bigint[], $4::bigint[]) with ordinality as item (sku, price, allotment, position)
