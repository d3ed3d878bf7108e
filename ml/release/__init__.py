"""Deploys a model: the roll-out, the smoke test, and the result."""
