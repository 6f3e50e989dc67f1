-- Makes an account; refused by users_email_unique when the address is taken.
-- $1 id  $2 email  $3 name  $4 role  $5 password hash
insert into users.users (id, email, name, role, password_hash)
values ($1, $2, $3, $4, $5)
returning id, email, name, role, created_at
