-- SKUs whose figures cannot be: something negative, or more reserved than on hand.
select sku as subject, format('on hand %s, reserved %s', on_hand, reserved) as finding
  from inventory.stock
 where on_hand < 0 or reserved < 0 or on_hand - reserved < 0
 order by sku
