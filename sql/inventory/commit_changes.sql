-- Moves many SKUs' figures at once, each only from the version that its actor decided upon; the ledger and the holds
-- of a SKU that did not move stay out, because their inserts join what the update returned.
-- stock:        $1 skus  $2 versions expected  $3 movements in it  $4 on hand added  $5 reserved added
-- ledger:       $6 skus  $7 versions made  $8 kinds  $9 on hand added  $10 reserved added  $11 reservations or null
--               $12 references or null  $13 reasons or null
-- holds made:   $14 ids  $15 skus  $16 quantities  $17 lines of the whole  $18 purposes  $19 times at which they lapse
-- holds ended:  $20 ids  $21 skus  $22 states before  $23 states after
with moved as (
    update inventory.stock as stock
       set on_hand  = stock.on_hand  + change.on_hand_delta,
           reserved = stock.reserved + change.reserved_delta,
           version  = stock.version  + change.movements
      from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
           as change (sku, version, movements, on_hand_delta, reserved_delta)
     where stock.sku = change.sku and stock.version = change.version
    returning stock.sku
), recorded as (
    insert into inventory.movements
           (sku, version, kind, on_hand_delta, reserved_delta, reservation_id, reference, reason)
    select movement.*
      from unnest($6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::uuid[], $12::text[], $13::text[])
           as movement (sku, version, kind, on_hand_delta, reserved_delta, reservation_id, reference, reason)
      join moved on moved.sku = movement.sku
), made as (
    insert into inventory.reservations (id, sku, quantity, lines, state, purpose, expires_at)
    select hold.id, hold.sku, hold.quantity, hold.lines, 'held', hold.purpose, hold.expires_at
      from unnest($14::uuid[], $15::text[], $16::bigint[], $17::smallint[], $18::text[], $19::timestamptz[])
           as hold (id, sku, quantity, lines, purpose, expires_at)
      join moved on moved.sku = hold.sku
), ended as (
    update inventory.reservations as reservation
       set state = change.state_after
      from unnest($20::uuid[], $21::text[], $22::text[], $23::text[]) as change (id, sku, state_before, state_after)
      join moved on moved.sku = change.sku
     where reservation.id = change.id and reservation.sku = change.sku and reservation.state = change.state_before
)
select sku from moved
