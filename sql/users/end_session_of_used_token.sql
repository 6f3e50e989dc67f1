-- Ends the session of a refresh token that comes a second time; returns the session also when it has ended before.
-- $1 hash of the token  $2 now  $3 reason
with reused as (
    select session_id from users.refresh_tokens where hash = $1 and used_at is not null
), ended as (
    update users.sessions as session
       set ended_at = $2, end_reason = $3
      from reused
     where session.id = reused.session_id and session.ended_at is null
)
select session_id from reused
