-- Whether there is a database of a name, and whether one of that name is or was to be ours.
-- $1 name
select exists (select from pg_database where datname = $1) as is_there,
       exists (select from storage.scratch where name = $1) as is_ours
