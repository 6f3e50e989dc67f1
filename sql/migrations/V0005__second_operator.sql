-- What one operator proposes and another one has to carry out, and who proposed what was done.

create table sales.proposals (
    id        uuid        not null,
    action    text        not null,
    sale_id   uuid,                                   -- null: everything
    sku       text,                                   -- null: the whole sale
    allotment bigint,                                 -- of what is lowered: to how many pieces
    expected  bigint,                                 -- and from how many
    actor     uuid        not null,
    reason    text        not null,
    at        timestamptz not null,
    lapses_at timestamptz not null,
    constraint proposals_pkey primary key (id),
    constraint proposals_wish_unique unique nulls not distinct (action, sale_id, sku, allotment, expected),
    constraint proposals_sale_fkey foreign key (sale_id) references sales.sales (id),
    constraint proposals_action_known check (action in ('kill', 'lower')),
    constraint proposals_lower_whole check (action = 'kill' or num_nulls(sku, allotment, expected) = 0)
);

alter table sales.changes add column proposed_by uuid;   -- who proposed it, where a second operator carried it out
