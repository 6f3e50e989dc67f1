-- Counts rows of the shop that a dry run left behind: by its shadow sales, by the ids of its customers, and by the mark of its
-- products and receipts.
-- $1 shadow sales  $2 first customer  $3 last customer  $4 mark
select (select count(*) from sales.sales where id = any($1))
     + (select count(*) from sales.entries where sale_id = any($1))
     + (select count(*) from sales.entries where customer_id between $2 and $3)
     + (select count(*) from sales.entry_changes where sale_id = any($1))
     + (select count(*) from sales.refusals where sale_id = any($1))
     + (select count(*) from inventory.allotments where sale_id = any($1))
     + (select count(*) from inventory.reservations where sale_id = any($1))
     + (select count(*) from inventory.movements where reference = $4)
     + (select count(*) from catalog.products where category = $4)
     + (select count(*) from orders.orders where sale_id = any($1))
     + (select count(*) from orders.orders where customer_id between $2 and $3)
     + (select count(*) from users.users where id between $2 and $3) as rows
