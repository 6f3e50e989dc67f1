-- Extends a session, and returns its user as the account is now; no row once it has ended, or began too long ago.
-- $1 session  $2 when it may have begun at the earliest  $3 when it lapses, unless that is later anyway
with renewed as (
    update users.sessions as session
       set expires_at = greatest(session.expires_at, $3)
     where session.id = $1
       and session.ended_at is null
       and session.created_at > $2
    returning session.user_id, session.created_at
)
select "user".id, "user".email, "user".name, "user".role, "user".created_at, renewed.created_at as began_at
  from renewed
  join users.users as "user" on "user".id = renewed.user_id
