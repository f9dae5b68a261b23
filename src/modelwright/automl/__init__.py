"""Tables in, models out: the search for the best model and ensemble in the time at hand."""
