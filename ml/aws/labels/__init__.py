"""Labels in the lake: where they are stored, how many rows have one, and the join with captured rows."""
