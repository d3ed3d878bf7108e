"""`fraudops reproduce`: trains an approval again and compares the archives. Registers, approves and deploys nothing.

The jobs are those of a training, in the account or in the emulator, and cost the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.audit import archive_comparison
from ml.audit.disagreement import Disagreement
from ml.aws import s3_objects
from ml.aws.executions import Execution
from ml.console import stage
from ml.errors import ArtifactError, DataError, Refused
from ml.gitops import approvals
from ml.gitops.repository import Repository
from ml.model.artifact import ArtifactInvalid
from ml.training import reproduction


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What training an approval again gave. `differences` names members and values; () if the digests are equal."""

    approval: int
    commit: str
    data_sha256: str
    approved_sha256: str
    sha256: str
    """The digest of the new archive."""
    execution_arn: str
    uri: str
    """Where the new archive is."""
    differences: tuple[str, ...]

    @property
    def reproduced(self) -> bool:
        """Whether the new archive has the digest that was approved."""
        return self.sha256 == self.approved_sha256

    @property
    def error(self) -> Disagreement | None:
        """The error with which the verb ends; None if the digests are equal."""
        if self.reproduced:
            return None
        return Disagreement(
            f"approval {self.approval:04d} was not reproduced: {self.uri} has sha256 {self.sha256}, and "
            f"{self.approved_sha256} was approved: {'; '.join(self.differences)}"
        )


def reproduce(
    root: Path,
    approval: int,
    *,
    revision: str = "main",
    progress: Callable[[Execution], None] | None = None,
) -> Reproduction:
    """Trains `approval` again from its commit and its data.

    Args:
        revision: where its record is: main, or the branch of its pull request.
        progress: called with each state of the execution; by default its steps are shown on standard error.

    Raises:
        Refused: there is no such record, or what it names is gone or was replaced; nothing was started.
        TrainingFailed: a job failed.
        CloudError: AWS refuses or cannot be reached.
    """
    repository = Repository.find(root)
    record = approvals.read_record(repository, revision, approval)
    if record is None:
        raise Refused(f"{config.approval_path(approval)} is not on {revision}; a proposed one is on approve/NNNN")
    again = reproduction.run(repository, revision, record, progress=progress)
    found: list[str] = []
    if again.sha256 != record.artifact.sha256:
        with stage("Comparing the archives"):
            found = _differences(record, again.content)
    return Reproduction(
        approval=approval,
        commit=record.commit,
        data_sha256=record.data.sha256,
        approved_sha256=record.artifact.sha256,
        sha256=again.sha256,
        execution_arn=again.execution_arn,
        uri=again.uri,
        differences=tuple(found),
    )


def _differences(record: config.ApprovalRecord, again: bytes) -> list[str]:
    try:
        approved = s3_objects.read(record.artifact.uri)
    except DataError as error:
        return [f"the approved archive cannot be compared: {error}"]
    try:
        found = archive_comparison.differences(approved, again)
    except ArtifactInvalid as error:
        raise ArtifactError(f"{record.artifact.uri} or its reproduction is not a model archive: {error}") from error
    return found or ["all members are equal, and another zlib compressed them"]
