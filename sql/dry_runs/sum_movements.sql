-- Sums of the movements of SKUs since a version of each.
-- $1 skus  $2 versions
select since.sku,
       coalesce(sum(movement.on_hand_delta), 0)::bigint as on_hand, coalesce(sum(movement.reserved_delta), 0)::bigint as reserved,
       coalesce(sum(movement.allotted_delta), 0)::bigint as allotted, count(movement.sku) as version
  from unnest($1::text[], $2::bigint[]) as since (sku, version)
  left join inventory.movements as movement on movement.sku = since.sku and movement.version > since.version
 group by since.sku
