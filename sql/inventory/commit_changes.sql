-- Moves many SKUs' figures at once, each only from the version that its actor decided upon; the ledger and the holds
-- of a SKU that did not move stay out, because their inserts join what the update returned.
-- stock:        $1 skus  $2 versions expected  $3 movements in it  $4 on hand added  $5 reserved added
--               $24 allotted added
-- ledger:       $6 skus  $7 versions made  $8 kinds  $9 on hand added  $10 reserved added  $11 reservations or null
--               $12 references or null  $13 reasons or null  $25 allotted added
-- holds made:   $14 ids  $15 skus  $16 quantities  $17 lines of the whole  $18 purposes  $19 times at which they lapse
--               $26 sales or null  $27 claimants, a space between them, or null
-- holds ended:  $20 ids  $21 skus  $22 states before  $23 states after
-- parts made:   $28 sales  $29 skus  $30 allotments
-- parts moved:  $31 sales  $32 skus  $33 allotment added  $34 held added  $35 sold added  $36 returned added
--               $37 lapsed added  $38 expired added  $39 whether they end
with moved as (
    update inventory.stock as stock
       set on_hand  = stock.on_hand  + change.on_hand_delta,
           reserved = stock.reserved + change.reserved_delta,
           allotted = stock.allotted + change.allotted_delta,
           version  = stock.version  + change.movements
      from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $24::bigint[])
           as change (sku, version, movements, on_hand_delta, reserved_delta, allotted_delta)
     where stock.sku = change.sku and stock.version = change.version
    returning stock.sku
), recorded as (
    insert into inventory.movements
           (sku, version, kind, on_hand_delta, reserved_delta, reservation_id, reference, reason, allotted_delta)
    select movement.*
      from unnest($6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::uuid[], $12::text[], $13::text[],
                  $25::bigint[])
           as movement (sku, version, kind, on_hand_delta, reserved_delta, reservation_id, reference, reason,
                        allotted_delta)
      join moved on moved.sku = movement.sku
), made as (
    insert into inventory.reservations (id, sku, quantity, lines, state, purpose, expires_at, sale_id, claimants)
    select hold.id, hold.sku, hold.quantity, hold.lines, 'held', hold.purpose, hold.expires_at, hold.sale_id,
           string_to_array(hold.claimants, ' ')
      from unnest($14::uuid[], $15::text[], $16::bigint[], $17::smallint[], $18::text[], $19::timestamptz[],
                  $26::uuid[], $27::text[])
           as hold (id, sku, quantity, lines, purpose, expires_at, sale_id, claimants)
      join moved on moved.sku = hold.sku
), ended as (
    update inventory.reservations as reservation
       set state = change.state_after, ended_at = now()
      from unnest($20::uuid[], $21::text[], $22::text[], $23::text[]) as change (id, sku, state_before, state_after)
      join moved on moved.sku = change.sku
     where reservation.id = change.id and reservation.sku = change.sku and reservation.state = change.state_before
), parted as (
    insert into inventory.allotments (sale_id, sku, allotment)
    select part.sale_id, part.sku, part.allotment
      from unnest($28::uuid[], $29::text[], $30::bigint[]) as part (sale_id, sku, allotment)
      join moved on moved.sku = part.sku
    -- A sale that could not be armed gave its parts back unsold, and may be armed once more.
    on conflict (sale_id, sku) do update
       set allotment = excluded.allotment, returned = 0, lapsed = 0, expired = 0, made_at = now(), closed_at = null
     where allotments.closed_at is not null and allotments.held = 0 and allotments.sold = 0
), counted as (
    update inventory.allotments as part
       set allotment = part.allotment + change.allotment,
           held      = part.held      + change.held,
           sold      = part.sold      + change.sold,
           returned  = part.returned  + change.returned,
           lapsed    = part.lapsed    + change.lapsed,
           expired   = part.expired   + change.expired,
           closed_at = case when change.closes then now() else part.closed_at end
      from unnest($31::uuid[], $32::text[], $33::bigint[], $34::bigint[], $35::bigint[], $36::bigint[], $37::bigint[],
                  $38::bigint[], $39::boolean[])
           as change (sale_id, sku, allotment, held, sold, returned, lapsed, expired, closes)
      join moved on moved.sku = change.sku
     where part.sale_id = change.sale_id and part.sku = change.sku
)
select sku from moved
