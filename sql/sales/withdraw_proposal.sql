-- Takes a proposal back that has not lapsed, and records who did.
-- $1 id  $2 actor  $3 now  $4 reason
with withdrawn as (
    delete from sales.proposals where id = $1 and lapses_at > $3
    returning id, action, sale_id, sku, allotment, expected, actor, reason, at, lapses_at
), recorded as (
    insert into sales.changes (sale_id, action, sku, actor, reason, before, after, at)
    select sale_id, 'withdraw', sku, $2, $4, jsonb_build_object('proposed', action), '{}', $3 from withdrawn
)
select id, action, sale_id, sku, allotment, expected, actor, reason, at, lapses_at from withdrawn
