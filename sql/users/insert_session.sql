-- Opens a session with its first refresh token.
-- $1 session  $2 user  $3 hash of the refresh token  $4 when both lapse
with opened as (
    insert into users.sessions (id, user_id, expires_at)
    values ($1, $2, $4)
    returning id
)
insert into users.refresh_tokens (hash, session_id, expires_at)
select $3, opened.id, $4 from opened
