-- Who waited for a sale, by their numbers, and when they were let in, to the second.
-- $1 sale
select entry.number::bigint, entry.customer_id, entry.state, entry.state <> 'waiting' as had_admission,
       date_trunc('second', turn.at) as admitted_at
  from sales.entries as entry
  left join (select number, min(at) as at
               from sales.entry_changes
              where sale_id = $1 and state = 'admitted'
              group by number) as turn using (number)
 where entry.sale_id = $1
 order by entry.number
