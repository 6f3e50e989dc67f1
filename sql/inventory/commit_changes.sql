-- Moves many SKUs' figures at once, each only from the version that its actor decided upon; the ledger and the holds
-- of a SKU that did not move stay out, because their inserts join what the update returned.
-- stock:               $1 sku   $2 version expected   $3 movements   $4 on hand delta   $5 reserved delta
--                      $6 allotted delta
-- ledger:              $7 sku   $8 version made   $9 kind   $10 on hand delta   $11 reserved delta
--                      $12 reservation id, or null   $13 reference, or null   $14 reason, or null   $15 allotted delta
-- holds made:          $16 id   $17 sku   $18 quantity   $19 lines of the whole   $20 purpose   $21 expires at
--                      $22 sale id, or null   $23 claimants, a space between them, or null
-- holds ended:         $24 id   $25 sku   $26 state before   $27 state after
-- allotments made:     $28 sale id   $29 sku   $30 allotment
-- allotments changed:  $31 sale id   $32 sku   $33 allotment added   $34 held added   $35 sold added   $36 returned added
--                      $37 lapsed added   $38 expired added   $39 closes it
with moved as (
    update inventory.stock as stock
       set on_hand  = stock.on_hand  + change.on_hand_delta,
           reserved = stock.reserved + change.reserved_delta,
           allotted = stock.allotted + change.allotted_delta,
           version  = stock.version  + change.movements
      from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
           as change (sku, version, movements, on_hand_delta, reserved_delta, allotted_delta)
     where stock.sku = change.sku and stock.version = change.version
    returning stock.sku
), recorded as (
    insert into inventory.movements
           (sku, version, kind, on_hand_delta, reserved_delta, reservation_id, reference, reason, allotted_delta)
    select movement.*
      from unnest($7::text[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[], $12::uuid[], $13::text[], $14::text[],
                  $15::bigint[])
           as movement (sku, version, kind, on_hand_delta, reserved_delta, reservation_id, reference, reason,
                        allotted_delta)
      join moved on moved.sku = movement.sku
), made as (
    insert into inventory.reservations (id, sku, quantity, lines, state, purpose, expires_at, sale_id, claimants)
    select hold.id, hold.sku, hold.quantity, hold.lines, 'held', hold.purpose, hold.expires_at, hold.sale_id,
           string_to_array(hold.claimants, ' ')
      from unnest($16::uuid[], $17::text[], $18::bigint[], $19::smallint[], $20::text[], $21::timestamptz[],
                  $22::uuid[], $23::text[])
           as hold (id, sku, quantity, lines, purpose, expires_at, sale_id, claimants)
      join moved on moved.sku = hold.sku
), ended as (
    update inventory.reservations as reservation
       set state = change.state_after, ended_at = now()
      from unnest($24::uuid[], $25::text[], $26::text[], $27::text[]) as change (id, sku, state_before, state_after)
      join moved on moved.sku = change.sku
     where reservation.id = change.id and reservation.sku = change.sku and reservation.state = change.state_before
), parted as (
    insert into inventory.allotments (sale_id, sku, allotment)
    select part.sale_id, part.sku, part.allotment
      from unnest($28::uuid[], $29::text[], $30::bigint[]) as part (sale_id, sku, allotment)
      join moved on moved.sku = part.sku
    -- A sale that could not be armed closed its allotments unsold, and may be armed again.
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
