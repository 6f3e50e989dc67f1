-- What became of a sale's pieces: those whose time ran out unpaid are told from those that were cancelled or refunded.

alter table inventory.allotments
    add column expired bigint not null default 0,     -- in reservations that expired
    drop constraint allotments_figures_not_negative,
    add constraint allotments_figures_not_negative check (least(held, sold, returned, lapsed, expired) >= 0);

update inventory.allotments as part
   set expired = ended.pieces
  from (select sale_id, sku, sum(quantity)::bigint as pieces
          from inventory.reservations
         where sale_id is not null and state = 'expired'
         group by sale_id, sku) as ended
 where ended.sale_id = part.sale_id and ended.sku = part.sku;
