"""GitHub's records and their rules: users, issues, pull requests, branch protection, events. No HTTP."""
