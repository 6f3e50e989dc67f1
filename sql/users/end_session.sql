-- Ends a session, unless it has ended before.
-- $1 session  $2 now  $3 reason
update users.sessions set ended_at = $2, end_reason = $3 where id = $1 and ended_at is null
