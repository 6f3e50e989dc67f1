-- Keeps other sales from being scheduled until the end of the transaction, so that one that was scheduled at the same moment
-- is seen.
select pg_advisory_xact_lock(hashtext('shobai: the schedule of sales'))
