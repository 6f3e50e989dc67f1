-- The SKUs of a reservation that was made for this purpose, in the order in which lines are decided.
-- $1 reservation  $2 purpose
select sku from inventory.reservations where id = $1 and purpose = $2 order by sku
