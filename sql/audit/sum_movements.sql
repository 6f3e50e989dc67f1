-- The sums of some SKUs' movements after a version and up to another one; a SKU without such a movement is left out.
-- $1 skus  $2 versions after which  $3 versions up to which
select wanted.sku, sum(movement.on_hand_delta)::bigint as on_hand, sum(movement.reserved_delta)::bigint as reserved,
       sum(movement.allotted_delta)::bigint as allotted, max(movement.version) as version, count(*) as movements
  from unnest($1::text[], $2::bigint[], $3::bigint[]) as wanted (sku, after, up_to)
  join inventory.movements as movement
    on movement.sku = wanted.sku and movement.version > wanted.after and movement.version <= wanted.up_to
 group by wanted.sku
