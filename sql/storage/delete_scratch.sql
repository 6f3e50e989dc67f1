-- Forgets a scratch database that was dropped or could not be created.
-- $1 name
delete from storage.scratch where name = $1
