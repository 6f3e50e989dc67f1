-- Which engines served the database, and which databases beside it they made.

create schema storage;

-- Those that an engine was about to make: noted before, and until they are dropped, so that one that was left behind is told
-- apart from somebody else's.
create table storage.scratch (
    name       text        not null,
    created_at timestamptz not null default now(),
    constraint scratch_pkey primary key (name)
);

-- Every start of an engine, so that one that could not reach the database for a while knows whether another one served it.
create table storage.starts (
    position   bigint      not null generated always as identity,
    started_at timestamptz not null default now(),
    constraint starts_pkey primary key (position)
);
