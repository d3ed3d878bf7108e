"""GitHub on a laptop: bare repositories over smart HTTP, the API calls that workflows and gh make, and small pages."""
