-- The last dry run of a sale.
-- $1 sale
select actor, reason, started_at, ended_at, failure, report::text as report
  from dry_runs.runs
 where sale_id = $1
 order by position desc
 limit 1
