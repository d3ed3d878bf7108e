"""Packs the logs of a run as GitHub's zip archive."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence

from local_github.actions.run_records import Job, Step, read_log

_UNSAFE = re.compile(r"[\x00-\x1f/\\:*?\"<>|]")


def archive_name(number: int, job: Job, step: Step | None = None) -> str:
    """The path of a job's or a step's log in GitHub's log archive."""
    safe = _UNSAFE.sub("", job.name)
    return f"{safe}/{step.number}_{_UNSAFE.sub('', step.name)}.txt" if step else f"{number}_{safe}.txt"


def log_archive(jobs: Sequence[Job]) -> bytes:
    """The logs of `jobs` as GitHub's zip archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for number, job in enumerate(jobs):
            file.writestr(archive_name(number, job), read_log(job.path, timestamps=True))
            for step in job.steps:
                if step.path.is_file():
                    file.writestr(archive_name(number, job, step), read_log(step.path, timestamps=True))
    return data.getvalue()
