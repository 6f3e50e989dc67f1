-- Turns the switch for everything.
-- $1 whether it is on  $2 action  $3 actor or null  $4 reason  $5 now  $6 who proposed it or null
with turned as (
    update sales.switch set stopped = $1 where stopped <> $1 returning stopped
)
insert into sales.changes (action, actor, reason, before, after, at, proposed_by)
select $2, $3::uuid, $4, jsonb_build_object('stopped', not stopped), jsonb_build_object('stopped', stopped), $5, $6::uuid
  from turned
