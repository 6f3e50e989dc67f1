-- Whether no engine has started after a start.
-- $1 position of the start
select not exists (select from storage.starts where position > $1) as is_last
