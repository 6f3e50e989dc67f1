-- Customers, devices and cards with more live pieces of a sale than a customer may have; admissions and marks do not count.
-- $1 sale  $2 pieces that a customer may have
select claimant.name, sum(reservation.quantity)::bigint as pieces
  from inventory.reservations as reservation
 cross join unnest(reservation.claimants) as claimant (name)
 where reservation.sale_id = $1 and reservation.state in ('held', 'committed')
   and claimant.name like '%:%' and claimant.name not like 'admission:%'
 group by claimant.name
having sum(reservation.quantity) > $2::bigint
 order by claimant.name
