"""A deployment: the roll-out, the smoke test, and its result."""
