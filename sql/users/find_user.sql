-- One user.
-- $1 id
select id, email, name, role, created_at from users.users where id = $1
