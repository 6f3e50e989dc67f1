-- Who waited for a sale, by their numbers, and when they were let in, to the second: what was written of a ticket first says
-- so. If that is something else, an engine was killed before it wrote down that they were.
-- $1 sale
select entry.number::bigint, entry.customer_id, entry.state, entry.state <> 'waiting' as had_admission,
       case when turn.state = 'admitted' then date_trunc('second', turn.at) end as admitted_at
  from sales.entries as entry
  left join (select distinct on (number) number, at, state
               from sales.entry_changes
              where sale_id = $1
              order by number, at) as turn using (number)
 where entry.sale_id = $1
 order by entry.number
