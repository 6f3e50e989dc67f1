-- Keeps others from proposing and agreeing until the end of the transaction: of two at the same moment, the second sees what the
-- first wants.
lock table sales.proposals in share row exclusive mode
