-- Notes that a database is to be made.
-- $1 name
insert into storage.scratch (name) values ($1) on conflict do nothing
