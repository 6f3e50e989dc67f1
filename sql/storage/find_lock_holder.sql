-- The session that holds the engine's lock: PostgreSQL keeps the number of the lock in two halves.
select l.pid
from pg_locks as l
join pg_database as d on d.oid = l.database
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and d.datname = current_database()
  and (l.classid::bigint << 32) | l.objid::bigint = hashtext('shobai engine')::bigint
