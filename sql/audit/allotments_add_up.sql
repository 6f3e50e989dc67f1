-- Parts of sales whose figures are not those of their reservations, or of the stock that is set apart for them.
with claimed as (
    select sale_id, sku, coalesce(sum(quantity) filter (where state = 'held'), 0) as held,
           coalesce(sum(quantity) filter (where state = 'committed'), 0) as sold
      from inventory.reservations
     where sale_id is not null
     group by sale_id, sku
), open as (
    select sku, allotment - held - sold - returned as remaining from inventory.allotments where closed_at is null
)
select format('%s of sale %s', coalesce(part.sku, claimed.sku), coalesce(part.sale_id, claimed.sale_id)) as subject,
       format('allotment %s, held %s, sold %s; reservations say held %s, sold %s', coalesce(part.allotment, 0),
              coalesce(part.held, 0), coalesce(part.sold, 0), coalesce(claimed.held, 0), coalesce(claimed.sold, 0))
           as finding
  from inventory.allotments as part
  full join claimed on claimed.sale_id = part.sale_id and claimed.sku = part.sku
 where coalesce(part.held, 0) <> coalesce(claimed.held, 0)
    or coalesce(part.sold, 0) <> coalesce(claimed.sold, 0)
    or part.sold + part.held + part.returned > part.allotment
 union all
select stock.sku, format('allotted %s, remaining of its sale %s', stock.allotted, coalesce(open.remaining, 0))
  from inventory.stock as stock
  left join open on open.sku = stock.sku
 where stock.allotted <> coalesce(open.remaining, 0)
 order by 1
