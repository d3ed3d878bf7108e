"""Drift statistics and decisions. Pure: counts and settings in, verdicts out. Reads no file and calls no service."""
