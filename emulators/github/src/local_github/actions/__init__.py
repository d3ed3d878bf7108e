"""GitHub Actions: decides what an event starts and runs workflow files with act."""
