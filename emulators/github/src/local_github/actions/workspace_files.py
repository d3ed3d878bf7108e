"""Keeps the files of ended jobs' workspaces, so that the next checkout of a repository writes only what differs.

The override of actions/checkout takes the files of one workspace, compares each with the commit by its content, and
removes what the commit does not have; so a job finds the workspace of a new runner. Nothing below .git is kept.
"""

from __future__ import annotations

import errno
import uuid
from pathlib import Path

KEEP = """\
mapfile -d '' -t names < <(git --git-dir="$GITHUB_WORKSPACE/.git" ls-tree -z --name-only HEAD 2> /dev/null)
kept=()
for name in "${names[@]}"; do
  if [[ -e "$GITHUB_WORKSPACE/$name" ]]; then kept+=("$GITHUB_WORKSPACE/$name"); fi
done
if [[ ${#kept[@]} != 0 ]]; then
  mkdir -p "$LOCAL_GITHUB_KEPT_FILES"
  mv -t "$LOCAL_GITHUB_KEPT_FILES" "${kept[@]}"
fi
"""
"""The last commands of a successful job: move the top-level entries of its commit out of the workspace."""
_MOST = 4
"""Workspaces that are kept for a repository: more than the jobs that run at the same time."""


def variables(work: Path, folder: Path) -> dict[str, str]:
    """The variables that a job's steps read: where to put files, and where those of earlier jobs are."""
    return {"LOCAL_GITHUB_KEPT_FILES": str(_kept(work)), "LOCAL_GITHUB_WORKSPACES": str(folder)}


def publish(work: Path, folder: Path) -> None:
    """Makes the files that an ended job has kept available to other jobs; its processes must have ended.

    Args:
        work: the job's folder.
        folder: of the files of the repository's workspaces.
    """
    kept = _kept(work)
    if not kept.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    if len(list(folder.iterdir())) < _MOST:
        try:
            kept.rename(folder / uuid.uuid4().hex)
        except OSError as error:
            if error.errno != errno.EXDEV:  # another file system: the files go with the job's folder
                raise


def _kept(work: Path) -> Path:
    return work / "kept_files"
