-- Sales, the latest opening first.
-- $1 only those that are not over, or have pieces to give back  $2 how many
select id, name, status, opens_at, closes_at, plan::text, stopped, version, created_at, drains_until, stock_returned,
       encode(sha256(seed), 'hex') as commitment
  from sales.sales
 where not $1::boolean or status not in ('settled', 'cancelled') or not stock_returned
 order by opens_at desc, id
 limit $2
