-- Whether no engine has started after one.
-- $1 its position
select not exists (select from storage.starts where position > $1) as is_last
