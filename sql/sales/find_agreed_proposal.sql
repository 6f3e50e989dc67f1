-- Finds the proposal that a second operator requests now, with its first operator.
-- $1 action  $2 sale or null  $3 sku or null  $4 allotment or null  $5 expected or null  $6 who agrees
select actor from sales.proposals
 where action = $1 and sale_id is not distinct from $2::uuid and sku is not distinct from $3::text
   and allotment is not distinct from $4::bigint and expected is not distinct from $5::bigint and actor <> $6
