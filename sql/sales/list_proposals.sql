-- What waits for a second operator, oldest first.
-- $1 now
select id, action, sale_id, sku, allotment, expected, actor, reason, at, lapses_at
  from sales.proposals
 where lapses_at > $1
 order by at, id
