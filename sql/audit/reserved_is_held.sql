-- SKUs whose reserved pieces are not the sum of their live reservations.
with held as (
    select sku, sum(quantity) as pieces from inventory.reservations where state = 'held' group by sku
)
select coalesce(stock.sku, held.sku) as subject,
       format('reserved %s, held by reservations %s', coalesce(stock.reserved, 0), coalesce(held.pieces, 0)) as finding
  from inventory.stock as stock
  full join held on held.sku = stock.sku
 where coalesce(stock.reserved, 0) <> coalesce(held.pieces, 0)
 order by 1
