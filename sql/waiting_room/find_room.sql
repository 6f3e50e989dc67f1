-- The seed of a sale's draw (hex), and the draw once it was made.
-- $1 sale
select encode(sale.seed, 'hex') as seed, draw.record::text as record
  from sales.sales as sale
  left join sales.draws as draw on draw.sale_id = sale.id
 where sale.id = $1
