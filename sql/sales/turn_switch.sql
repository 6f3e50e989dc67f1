-- Turns the switch for everything.
-- $1 whether it is on  $2 action  $3 actor or null  $4 reason  $5 now
with turned as (
    update sales.switch set stopped = $1 where stopped <> $1 returning stopped
)
insert into sales.changes (action, actor, reason, before, after, at)
select $2, $3::uuid, $4, jsonb_build_object('stopped', not stopped), jsonb_build_object('stopped', stopped), $5
  from turned
