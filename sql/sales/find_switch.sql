-- Whether the switch for everything is on.
select stopped from sales.switch
