-- Ends the proposals that no second operator approved in time.
-- $1 now
with lapsed as (
    delete from sales.proposals where lapses_at <= $1 returning sale_id, action, sku
)
insert into sales.changes (sale_id, action, sku, reason, before, after, at)
select sale_id, 'lapse', sku, 'nobody agreed in time', jsonb_build_object('proposed', action), '{}', $1 from lapsed
