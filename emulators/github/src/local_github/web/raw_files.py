"""Finds the file of a raw address such as /owner/name/raw/<ref>/<path>."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository


def read_raw(repository: Repository, rest: str) -> tuple[str, bytes] | None:
    """The path and the bytes of `<ref>/<path>`, where a ref may contain slashes; None if there is no such file."""
    parts = rest.split("/")
    for at in range(1, len(parts)):
        ref, path = "/".join(parts[:at]), "/".join(parts[at:])
        sha = repository.git.branch(ref) or repository.git.resolve(ref)
        data = repository.git.show(sha, path) if sha else None
        if data is not None:
            return path, data
    return None


def read_raw_address(state: State, address: str) -> bytes | None:
    """The bytes of a raw address: /raw/<owner>/<name>/<ref>/<path> or /<owner>/<name>/raw/<ref>/<path>."""
    parts = unquote(urlsplit(address).path).strip("/").split("/")
    if len(parts) < 5 or "raw" not in (parts[0], parts[2]):
        return None
    owner, name = parts[1:3] if parts[0] == "raw" else parts[:2]
    repository = state.find(owner, name)
    found = read_raw(repository, "/".join(parts[3:])) if repository else None
    return found[1] if found else None
