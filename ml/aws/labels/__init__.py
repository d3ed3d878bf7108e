"""Labels in the lake: their storage, their coverage of transactions by day, and their join with captured rows."""
