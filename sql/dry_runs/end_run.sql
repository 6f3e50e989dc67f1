-- Stores the result of a dry run.
-- $1 its position  $2 ended at  $3 failure or null  $4 report (json) or null
update dry_runs.runs set ended_at = $2, failure = $3, report = $4::text::jsonb where position = $1
