-- Stores that a dry run begins, with the failure that stands until its result is stored.
-- $1 sale  $2 who wanted it  $3 reason  $4 started at  $5 failure
insert into dry_runs.runs (sale_id, actor, reason, started_at, ended_at, failure)
values ($1, $2, $3, $4, $4, $5)
returning position
