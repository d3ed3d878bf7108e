"""Stand-in traffic drawn from published statistics, for machines and tests that have no card data."""
