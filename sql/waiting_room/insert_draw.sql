-- Keeps the draw of a sale; the first one counts, and a second one writes nothing.
-- $1 sale  $2 record (json)  $3 when it was drawn
insert into sales.draws (sale_id, record, drawn_at) values ($1, $2::text::json, $3)
on conflict (sale_id) do nothing
