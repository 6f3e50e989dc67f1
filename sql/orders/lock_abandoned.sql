-- Waits for the orders that are being placed at this moment and keeps new ones waiting: they all read this table.
lock table orders.abandoned in access exclusive mode
