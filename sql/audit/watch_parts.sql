-- Every SKU of the sales that are watched: the sale's part of it, what the reservations say of that part, and the stock.
-- $1 statuses of a sale that is watched
with watched as (
    select id from sales.sales where status = any ($1::text[])
), claimed as (
    select sale_id, sku,
           coalesce(sum(quantity) filter (where state = 'held'), 0)::bigint as held,
           coalesce(sum(quantity) filter (where state = 'committed'), 0)::bigint as sold
      from inventory.reservations
     where sale_id in (select id from watched) and state in ('held', 'committed')
     group by sale_id, sku
), item as (
    select sale_id, sku from sales.items where sale_id in (select id from watched)
     union
    select sale_id, sku from inventory.allotments where sale_id in (select id from watched)
     union
    select sale_id, sku from claimed
)
select item.sale_id, item.sku, part.allotment, part.held, part.sold, part.returned, part.lapsed, part.expired,
       part.closed_at,
       coalesce(claimed.held, 0) as held_by_reservations, coalesce(claimed.sold, 0) as sold_by_reservations,
       stock.on_hand, stock.reserved, stock.allotted, stock.version
  from item
  left join inventory.allotments as part on part.sale_id = item.sale_id and part.sku = item.sku
  left join claimed on claimed.sale_id = item.sale_id and claimed.sku = item.sku
  left join inventory.stock as stock on stock.sku = item.sku
 order by item.sale_id, item.sku
