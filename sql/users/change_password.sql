-- Sets another password for a user and ends all sessions that were opened with the previous one.
-- $1 email  $2 password hash  $3 now  $4 reason  $5 role
with changed as (
    update users.users
       set password_hash = $2
     where email = $1 and role = $5
    returning id, email, name, role, created_at
), ended as (
    update users.sessions as session
       set ended_at = $3, end_reason = $4
      from changed
     where session.user_id = changed.id and session.ended_at is null
    returning session.id
)
select id, email, name, role, created_at, array(select id from ended) as ended from changed
