-- What is said of a database in the server's catalogue: no row where there is no such database.
-- $1 name
select shobj_description(oid, 'pg_database') as mark from pg_database where datname = $1
