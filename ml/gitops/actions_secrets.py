"""Reads the names of a repository's Actions secrets, which the workflows of every branch can read. Reads no value."""

from __future__ import annotations

from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub


def names(github: GitHub) -> frozenset[str]:
    """The names of the repository's own secrets, without those of its environments and of the organisation."""
    listed = rest_reader.items(github, "the secrets", "/actions/secrets", "secrets")
    return frozenset(str(item["name"]) for item in listed)
