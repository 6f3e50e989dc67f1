-- What was done to a sale, and to the switch for everything while there was the sale, oldest first.
-- $1 sale
select case when change.sale_id is null then change.action || '-everything' else change.action end as action,
       change.sku, change.actor, change.proposed_by, change.reason, change.before, change.after, change.at
  from sales.changes as change
  join sales.sales as sale on sale.id = $1
 where change.sale_id = sale.id
    or change.sale_id is null and change.at >= sale.created_at
       and change.at <= (select coalesce(max(at), now()) from sales.changes
                          where sale_id = sale.id and action in ('settle', 'cancel'))
 order by change.position
