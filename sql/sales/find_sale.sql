-- One sale.
-- $1 id
select id, name, status, opens_at, closes_at, plan::text, stopped, version, created_at, drains_until, stock_returned,
       encode(sha256(seed), 'hex') as commitment
  from sales.sales
 where id = $1
