-- What a sale did not sell has gone back to general stock.
-- $1 sale
update sales.sales set stock_returned = true where id = $1 and not stock_returned
