"""Computes the changed files that `paths:` filters compare, with GitHub's limits. Filters nothing.

GitHub reads the first 300 files of a diff; a file after them cannot match. A push of more than 1,000 commits starts a
workflow regardless of its paths.
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#git-diff-comparisons
"""

from __future__ import annotations

from local_github.domain.records import Repository

FILES_LIMIT = 300
COMMITS_LIMIT = 1_000


def changed_files(repository: Repository, before: str, after: str) -> tuple[str, ...]:
    """The sorted paths of the first 300 changed files between two commits; both names of a renamed file."""
    changes = sorted(repository.git.changes(before, after), key=lambda change: change.path)[:FILES_LIMIT]
    return tuple(sorted({name for change in changes for name in (change.path, change.previous) if name}))
