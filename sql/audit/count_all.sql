-- How much the audit looked at.
select (select count(*) from inventory.stock) as skus,
       (select count(*) from inventory.movements) as movements,
       (select count(*) from inventory.reservations) as reservations,
       count(*) as orders,
       count(*) filter (where status = 'awaiting_payment') as awaiting_payment,
       count(*) filter (where status = 'confirmed') as confirmed,
       count(*) filter (where status = 'cancelled') as cancelled,
       count(*) filter (where status = 'expired') as expired
  from orders.orders
