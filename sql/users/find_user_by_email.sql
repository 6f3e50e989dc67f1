-- The user who wants to sign in, with the hash that the password is verified against.
-- $1 email
select id, email, name, role, created_at, password_hash from users.users where email = $1
