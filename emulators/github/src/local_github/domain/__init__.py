"""GitHub's records and rules: users, issues, pull requests, branch protection, events. No HTTP."""
