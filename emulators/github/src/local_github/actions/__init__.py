"""GitHub Actions on a laptop: which workflows an event starts, their runs by act, and the identities of their jobs."""
