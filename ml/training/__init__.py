"""A training run: its inputs, its progress, the reasons of failed jobs, and its result."""
