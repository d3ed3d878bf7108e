"""Outputs, step summaries, annotations and commit statuses for the GitHub Actions workflow that runs a verb."""
