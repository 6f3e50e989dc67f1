-- The allotments of a sale, open and closed.
-- $1 sale
select sale_id, sku, allotment, held, sold, returned, lapsed, expired, closed_at
  from inventory.allotments
 where sale_id = $1
 order by sku
