-- Pieces available of many SKUs, in the order asked; zero for a SKU that is not in stock.
-- $1 skus
select coalesce(stock.on_hand - stock.reserved - stock.allotted, 0)
  from unnest($1::text[]) with ordinality as asked (sku, position)
  left join inventory.stock as stock on stock.sku = asked.sku
 order by asked.position
