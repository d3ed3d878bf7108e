"""Scenarios and stand-in transactions drawn from published statistics. Starts nothing."""
