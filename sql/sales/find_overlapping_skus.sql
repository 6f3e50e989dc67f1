-- SKUs of a sale that another one, not over and running or draining at some of the same time, has as well.
-- $1 sale  $2 seconds for which a sale may drain after its end
with windows as (
    select id, status, opens_at,
           coalesce(drains_until, closes_at + make_interval(secs => $2::double precision)) as ends_at
      from sales.sales
     where id = $1 or status in ('scheduled', 'armed', 'open', 'paused', 'draining')
)
select mine.sku, other.id as sale_id
  from windows as this
  join sales.items as mine on mine.sale_id = this.id
  join sales.items as theirs on theirs.sku = mine.sku and theirs.sale_id <> this.id
  join windows as other on other.id = theirs.sale_id
 where this.id = $1 and other.opens_at < this.ends_at and this.opens_at < other.ends_at
 order by mine.position, other.id
