"""Read-only checks of an account and its repository before the first run. Changes nothing in either."""
