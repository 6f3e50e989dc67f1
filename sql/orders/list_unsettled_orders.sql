-- Orders whose stock has not followed their status yet although there was time to, the longest waiting first.
-- $1 changed before  $2 how many
select id from orders.orders
 where not stock_settled and status <> 'awaiting_payment' and changed_at < $1
 order by changed_at
 limit $2
