-- SKUs of a sale that another one, not over and open at some of the same time, has as well.
-- $1 sale
select mine.sku, other.id as sale_id
  from sales.sales as this
  join sales.items as mine on mine.sale_id = this.id
  join sales.items as theirs on theirs.sku = mine.sku and theirs.sale_id <> this.id
  join sales.sales as other on other.id = theirs.sale_id
 where this.id = $1
   and other.status in ('scheduled', 'armed', 'open', 'paused', 'draining')
   and other.opens_at < this.closes_at and this.opens_at < other.closes_at
 order by mine.position, other.id
