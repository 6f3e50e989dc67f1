-- Records a scratch database before it is created.
-- $1 name
insert into storage.scratch (name) values ($1) on conflict do nothing
