-- What each SKU of a sale was planned and given, and what its reservations say became of it.
-- $1 sale
with claimed as (
    select sku, coalesce(sum(quantity) filter (where state = 'held'), 0)::bigint as held,
           coalesce(sum(quantity) filter (where state = 'committed'), 0)::bigint as sold
      from inventory.reservations
     where sale_id = $1 and state in ('held', 'committed')
     group by sku
)
select item.sku, item.price, item.allotment as planned, coalesce(part.allotment, 0) as allotment,
       coalesce(part.returned, 0) as returned, coalesce(part.allotment - part.held - part.sold - part.returned, 0) as remaining,
       coalesce(claimed.held, 0) as held, coalesce(claimed.sold, 0) as sold
  from sales.items as item
  left join inventory.allotments as part on part.sale_id = item.sale_id and part.sku = item.sku
  left join claimed on claimed.sku = item.sku
 where item.sale_id = $1
 order by item.position
