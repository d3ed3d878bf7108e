"""The REST API: one module for each part of GitHub's reference, each with a table of routes."""
