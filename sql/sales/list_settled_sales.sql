-- Sales that are settled, the latest opening first.
-- $1 how many
select id, name, status, opens_at, closes_at, plan::text, stopped, version, created_at, drains_until, stock_returned,
       encode(sha256(seed), 'hex') as commitment
  from sales.sales
 where status = 'settled'
 order by opens_at desc, id
 limit $1
