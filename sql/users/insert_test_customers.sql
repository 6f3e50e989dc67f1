-- Makes many customers for load tools, each with a session and without a password, so that none can sign in.
-- $1 ids  $2 emails  $3 name  $4 sessions  $5 when the sessions lapse
with made as (
    insert into users.users (id, email, name, role)
    select customer.id, customer.email, $3, 'customer'
      from unnest($1::uuid[], $2::text[]) as customer (id, email)
)
insert into users.sessions (id, user_id, expires_at)
select session.id, session.user_id, $5
  from unnest($4::uuid[], $1::uuid[]) as session (id, user_id)
