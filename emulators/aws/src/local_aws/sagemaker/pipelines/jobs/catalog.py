"""The processing and training jobs of one emulator, by ARN, for the Describe and List calls.

Holds the jobs of executions and those created directly. Runs none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from local_aws.sagemaker.pipelines import argument_validation, names

Kind = Literal["Processing", "Training"]
KINDS: tuple[Kind, ...] = ("Processing", "Training")


class JobCatalog:
    """Descriptions in the shape of DescribeProcessingJob and DescribeTrainingJob; every member is thread-safe."""

    def __init__(self, region: str, account: str) -> None:
        self._region, self._account = region, account
        self._lock = threading.Lock()
        self._jobs: dict[str, dict[str, Any]] = {}

    def arn(self, kind: Kind, name: str) -> str:
        """The ARN of a job."""
        return f"arn:aws:sagemaker:{self._region}:{self._account}:{kind.lower()}-job/{name}"

    def add(self, arn: str, description: dict[str, Any]) -> bool:
        """Adds the description that its job keeps current; False if there is a job of this ARN."""
        with self._lock:
            return self._jobs.setdefault(arn, description) is description

    def remove(self, arn: str) -> None:
        """Removes a job whose Create call is refused."""
        with self._lock:
            self._jobs.pop(arn, None)

    def find(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """The description of a job; None if it does not exist or is still being validated."""
        with self._lock:
            description = self._jobs.get(self.arn(kind, name))
        return description if description and f"{kind}JobArn" in description else None

    def describe(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """The response of the Describe call; None if there is no such job."""
        description = self.find(kind, name)
        if description is None:
            return None
        members = argument_validation.response_members(f"Describe{kind}Job")
        return {member: value for member, value in dict(description).items() if member in members}

    def summaries(self, kind: Kind, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The entries of the List call: filtered and sorted as `request` says."""
        with self._lock:
            jobs = [dict(job) for job in self._jobs.values() if f"{kind}JobArn" in job]
        conditions: list[Callable[[dict[str, Any]], bool]] = []
        if text := request.get("NameContains"):
            conditions.append(lambda job: text.lower() in job[f"{kind}JobName"].lower())
        if status := request.get("StatusEquals"):
            conditions.append(lambda job: job[f"{kind}JobStatus"] == status)
        for member in ("CreationTime", "LastModifiedTime"):
            if after := names.parse_time(request.get(f"{member}After")):
                conditions.append(lambda job, member=member, after=after: job[member] > after)  # type: ignore[misc]
            if before := names.parse_time(request.get(f"{member}Before")):
                conditions.append(lambda job, member=member, before=before: job[member] < before)  # type: ignore[misc]
        found = [job for job in jobs if all(holds(job) for holds in conditions)]
        by: Callable[[dict[str, Any]], str | datetime] = {
            "Name": lambda job: job[f"{kind}JobName"],
            "Status": lambda job: job[f"{kind}JobStatus"],
        }.get(request.get("SortBy") or "CreationTime", lambda job: job["CreationTime"])
        found.sort(key=by, reverse=request.get("SortOrder", "Descending") == "Descending")
        members = argument_validation.list_members(f"List{kind}Jobs", f"{kind}JobSummaries")
        return [{member: value for member, value in job.items() if member in members} for job in found]
