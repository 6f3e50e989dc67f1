-- The plan of one sale.
-- $1 sale
select name, status, opens_at, closes_at, created_at, plan::text as terms, encode(sha256(seed), 'hex') as commitment
  from sales.sales
 where id = $1
