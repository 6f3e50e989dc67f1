-- A SKU's ledger, newest first.
-- $1 sku  $2 below this version  $3 how many
select sku, version, kind, on_hand_delta, reserved_delta, allotted_delta, reservation_id, reference, reason, at
  from inventory.movements
 where sku = $1 and version < $2
 order by version desc
 limit $3
