-- Whether a database of a name exists, whether it is recorded as a scratch database, and whether it is being created now.
-- $1 name  $2 the statement that creates it
select exists (select from pg_database where datname = $1) as is_there,
       exists (select from storage.scratch where name = $1) as is_ours,
       exists (select from pg_stat_activity where state = 'active' and query = $2 and pid <> pg_backend_pid()) as is_being_made
