-- Whether there is a database of a name, whether one of that name is or was to be ours, and whether that is being made.
-- $1 name  $2 the statement that makes it
select exists (select from pg_database where datname = $1) as is_there,
       exists (select from storage.scratch where name = $1) as is_ours,
       exists (select from pg_stat_activity where state = 'active' and query = $2 and pid <> pg_backend_pid()) as is_being_made
