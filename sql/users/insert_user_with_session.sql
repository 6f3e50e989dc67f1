-- Makes an account together with its first session: both or neither.
-- $1 id  $2 email  $3 name  $4 role  $5 password hash
-- $6 session  $7 hash of its refresh token  $8 when both lapse
with registered as (
    insert into users.users (id, email, name, role, password_hash)
    values ($1, $2, $3, $4, $5)
    returning id, email, name, role, created_at
), opened as (
    insert into users.sessions (id, user_id, expires_at)
    select $6, registered.id, $8 from registered
    returning id
), given as (
    insert into users.refresh_tokens (hash, session_id, expires_at)
    select $7, opened.id, $8 from opened
)
select id, email, name, role, created_at from registered
