-- A SKU's figures beside each of its live holds, read at one moment; one row with nulls when there are no holds.
-- $1 sku
select stock.on_hand, stock.reserved, stock.version,
       hold.id, hold.quantity, hold.state, hold.expires_at
  from inventory.stock as stock
  left join inventory.reservations as hold on hold.sku = stock.sku and hold.state = 'held'
 where stock.sku = $1
