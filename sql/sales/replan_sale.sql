-- Plans a draft anew, from the version that was seen.
-- $1 id  $2 version seen  $3 name  $4 opens at  $5 closes at  $6 terms (json)  $7 actor or null  $8 before (json)
-- $9 after (json)  $10 now
with planned as (
    update sales.sales
       set name = $3, opens_at = $4, closes_at = $5, plan = $6::text::jsonb, version = version + 1
     where id = $1 and version = $2 and status = 'draft'
    returning id, version
)
insert into sales.changes (sale_id, version, action, actor, reason, before, after, at)
select id, version, 'replan', $7::uuid, 'planned anew', $8::text::jsonb, $9::text::jsonb, $10 from planned
returning version
