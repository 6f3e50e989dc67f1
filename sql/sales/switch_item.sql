-- Turns the switch of one SKU, from the version of its sale that was seen.
-- $1 sale  $2 version seen  $3 sku  $4 whether it is stopped  $5 action  $6 actor or null  $7 reason  $8 before (json)
-- $9 after (json)  $10 now  $11 who proposed it or null
with moved as (
    update sales.sales set version = version + 1 where id = $1 and version = $2 returning id, version
), switched as (
    update sales.items set stopped = $4 from moved where sale_id = moved.id and sku = $3
)
insert into sales.changes (sale_id, version, action, sku, actor, reason, before, after, at, proposed_by)
select id, version, $5, $3, $6::uuid, $7, $8::text::jsonb, $9::text::jsonb, $10, $11::uuid from moved
returning version
