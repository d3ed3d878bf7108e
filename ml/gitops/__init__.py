"""The only package that calls Git and GitHub. Never calls AWS."""
