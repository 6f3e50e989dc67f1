-- Brings a sale from the version that was seen to its next, and records who did it, when and why.
-- $1 id  $2 version seen  $3 status  $4 whether it is stopped  $5 drains until or null  $6 action  $7 actor or null
-- $8 reason  $9 before (json)  $10 after (json)  $11 now  $12 who proposed it or null
with moved as (
    update sales.sales
       set status = $3, stopped = $4, drains_until = $5, version = version + 1
     where id = $1 and version = $2
    returning id, version
)
insert into sales.changes (sale_id, version, action, actor, reason, before, after, at, proposed_by)
select id, version, $6, $7::uuid, $8, $9::text::jsonb, $10::text::jsonb, $11, $12::uuid from moved
returning version
