-- SKUs whose figures cannot be: something negative, or more promised than on hand.
select sku as subject, format('on hand %s, reserved %s, allotted %s', on_hand, reserved, allotted) as finding
  from inventory.stock
 where on_hand < 0 or reserved < 0 or allotted < 0 or on_hand - reserved - allotted < 0
 order by sku
