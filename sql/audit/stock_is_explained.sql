-- SKUs whose figures are not the sum of their movements, or whose movements have gaps.
with ledger as (
    select sku, sum(on_hand_delta) as on_hand, sum(reserved_delta) as reserved,
           sum(allotted_delta) as allotted, count(*) as movements,
           max(version) as version
      from inventory.movements
     group by sku
)
select coalesce(stock.sku, ledger.sku) as subject,
       format('on hand %s, reserved %s, allotted %s, version %s; the ledger says %s, %s, %s, %s in %s movements',
              stock.on_hand, stock.reserved, stock.allotted, stock.version, ledger.on_hand, ledger.reserved,
              ledger.allotted, ledger.version, ledger.movements) as finding
  from inventory.stock as stock
  full join ledger on ledger.sku = stock.sku
 where coalesce(stock.on_hand, 0) <> coalesce(ledger.on_hand, 0)
    or coalesce(stock.reserved, 0) <> coalesce(ledger.reserved, 0)
    or coalesce(stock.allotted, 0) <> coalesce(ledger.allotted, 0)
    or coalesce(stock.version, 0) <> coalesce(ledger.version, 0)
    or coalesce(ledger.movements, 0) <> coalesce(ledger.version, 0)
 order by 1
