-- Enters the items of a plan.
-- $1 sale  $2 skus  $3 prices  $4 allotments  $5 those of the skus that are stopped by a switch of their own
insert into sales.items (sale_id, sku, price, allotment, position, stopped)
select $1, item.sku, item.price, item.allotment, item.position, item.sku = any($5::text[])
  from unnest($2::text[], $3::bigint[], $4::bigint[]) with ordinality as item (sku, price, allotment, position)
