-- Marks a refresh token as used and inserts the next one. Of two requests with the same token the second waits for the
-- row lock of the first, then sees used_at and returns no row.
-- $1 hash of the token  $2 hash of the next  $3 now  $4 when the session and the next token lapse
with used as (
    update users.refresh_tokens as token
       set used_at = $3
      from users.sessions as session
     where token.hash = $1
       and token.used_at is null
       and token.expires_at > $3
       and session.id = token.session_id
       and session.ended_at is null
    returning token.session_id
), extended as (
    update users.sessions as session
       set expires_at = $4
      from used
     where session.id = used.session_id
    returning session.id, session.user_id
), given as (
    insert into users.refresh_tokens (hash, session_id, expires_at)
    select $2, used.session_id, $4 from used
)
select "user".id, "user".email, "user".name, "user".role, "user".created_at, extended.id as session_id
  from extended
  join users.users as "user" on "user".id = extended.user_id
