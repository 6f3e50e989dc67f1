-- Plans a sale, with its items and the first line of its history.
-- sale:    $1 id  $2 name  $3 opens at  $4 closes at  $5 terms (json)  $6 seed (hex)  $7 now
-- items:   $8 skus  $9 prices  $10 allotments
-- history: $11 actor or null  $12 after (json)
with planned as (
    insert into sales.sales (id, name, status, opens_at, closes_at, plan, seed, created_at)
    values ($1, $2, 'draft', $3, $4, $5::text::jsonb, decode($6, 'hex'), $7)
), listed as (
    insert into sales.items (sale_id, sku, price, allotment, position)
    select $1, item.sku, item.price, item.allotment, item.position
      from unnest($8::text[], $9::bigint[], $10::bigint[]) with ordinality as item (sku, price, allotment, position)
)
insert into sales.changes (sale_id, version, action, actor, reason, before, after, at)
values ($1, 1, 'create', $11::uuid, 'planned', '{}', $12::text::jsonb, $7)
