-- Keeps what came of a dry run.
-- $1 sale  $2 who wanted it  $3 reason  $4 started at  $5 ended at  $6 failure  $7 report (json)
insert into dry_runs.runs (sale_id, actor, reason, started_at, ended_at, failure, report)
values ($1, $2, $3, $4, $5, $6, $7::text::jsonb)
