-- A SKU's figures, and those of its open allotment.
-- $1 sku
select stock.on_hand, stock.reserved, stock.allotted, stock.version,
       part.sale_id, part.sku, part.allotment, part.held, part.sold, part.returned, part.lapsed, part.expired,
       part.closed_at
  from inventory.stock as stock
  left join inventory.allotments as part on part.sku = stock.sku and part.closed_at is null
 where stock.sku = $1
