-- A database that was made is gone, or could not be made.
-- $1 name
delete from storage.scratch where name = $1
