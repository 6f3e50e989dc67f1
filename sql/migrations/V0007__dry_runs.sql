-- Dry runs: what sales would have been, as it was measured in shops made for that.

create schema dry_runs;

create table dry_runs.runs (
    position   bigint      not null generated always as identity,
    sale_id    uuid        not null,
    actor      uuid,                                  -- who wanted it
    reason     text        not null,
    started_at timestamptz not null,
    ended_at   timestamptz not null,
    failure    text,                                  -- why there is no report
    report     jsonb,
    constraint runs_pkey primary key (position),
    constraint runs_have_an_outcome check ((failure is null) <> (report is null))
);
create index runs_sale_index on dry_runs.runs (sale_id, position);
