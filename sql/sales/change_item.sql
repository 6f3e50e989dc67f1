-- Writes a new allotment of one SKU down, from the version of its sale that was seen.
-- $1 sale  $2 version seen  $3 sku  $4 allotment  $5 actor or null  $6 reason  $7 before (json)  $8 after (json)  $9 now
-- $10 who proposed it or null
with moved as (
    update sales.sales set version = version + 1 where id = $1 and version = $2 returning id, version
), changed as (
    update sales.items set allotment = $4 from moved where sale_id = moved.id and sku = $3
)
insert into sales.changes (sale_id, version, action, sku, actor, reason, before, after, at, proposed_by)
select id, version, 'allot', $3, $5::uuid, $6, $7::text::jsonb, $8::text::jsonb, $9, $10::uuid from moved
returning version
