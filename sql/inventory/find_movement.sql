-- The movement that an operation made, found by the operation's own reference.
-- $1 sku  $2 kind  $3 reference
select sku, version, kind, on_hand_delta, reserved_delta, allotted_delta, reservation_id, reference, reason, at
  from inventory.movements
 where sku = $1 and kind = $2 and reference = $3
