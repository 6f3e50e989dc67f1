-- Proposes something; writes nothing where that is proposed already, or where as many as may be are.
-- wish: $1 id  $2 action  $3 sale or null  $4 sku or null  $5 allotment or null  $6 expected or null
-- act:  $7 actor  $8 reason  $9 now  $10 when it lapses  $11 how many of the action there may be
with proposed as (
    insert into sales.proposals (id, action, sale_id, sku, allotment, expected, actor, reason, at, lapses_at)
    select $1, $2, $3::uuid, $4::text, $5::bigint, $6::bigint, $7, $8, $9, $10
     where (select count(*) from sales.proposals where action = $2) < $11
    on conflict on constraint proposals_wish_unique do nothing
    returning sale_id, action, sku, allotment, expected, actor, reason, at
)
insert into sales.changes (sale_id, action, sku, actor, reason, before, after, at)
select sale_id, 'propose', sku, actor, reason, jsonb_strip_nulls(jsonb_build_object('allotment', expected)),
       jsonb_strip_nulls(jsonb_build_object('proposed', action, 'allotment', allotment)), at
  from proposed
