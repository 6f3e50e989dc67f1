-- Databases beside the shop's own.

create schema storage;

-- Those that an engine was about to make: noted before, and until they are dropped, so that one that was left behind is told
-- apart from somebody else's.
create table storage.scratch (
    name       text        not null,
    created_at timestamptz not null default now(),
    constraint scratch_pkey primary key (name)
);
