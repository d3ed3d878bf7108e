"""Loads the approved model and the drift reference that a window is judged against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml import config
from ml.aws import s3_objects
from ml.errors import ArtifactError, Refused
from ml.gitops import approvals
from ml.gitops.repository import Repository
from ml.model import artifact
from ml.model.drift import detector


@dataclass(frozen=True, kw_only=True)
class Model:
    """An approved model and its drift reference."""

    record: config.ApprovalRecord
    reference: detector.Reference
    amount: str
    """The input that holds the amount."""

    @property
    def sha256(self) -> str:
        """The digest of its archive."""
        return self.record.artifact.sha256

    @property
    def learned_until(self) -> datetime | None:
        """Event time of the newest row that it was trained or tested on; None if its archive does not say."""
        return learned_until(self.reference.document)

    @property
    def version(self) -> str:
        """The model version in its answers."""
        return f"{self.record.approval:04d}"

    @classmethod
    def of(cls, repository: Repository, revision: str, approval: int) -> Model:
        """The model of an approval that is recorded at `revision`, from its archive.

        Raises:
            Refused: there is no record, or the archive is not the one that was approved.
            ArtifactError: the archive cannot be read, or holds no drift reference.
        """
        record = approvals.recorded(repository, revision, approval)
        if record is None:
            raise Refused(f"{config.approval_path(approval)} does not exist, so the model is unknown")
        content = s3_objects.read(record.artifact.uri)
        found = hashlib.sha256(content).hexdigest()
        if found != record.artifact.sha256:
            raise Refused(
                f"{record.artifact.uri} has sha256 {found}, and {config.approval_path(approval)} approved "
                f"{record.artifact.sha256}; find out who replaced it"
            )
        try:
            archive = artifact.read(content)
            amount: str = json.loads(archive.files["model.json"])["amount"]
            reference = detector.Reference.of(archive.baseline)
            reference.names, reference.scores  # noqa: B018 - read now, so that a fault is reported here
        except (artifact.ArtifactInvalid, KeyError, TypeError) as error:
            raise ArtifactError(f"{record.artifact.uri}: no drift reference can be read from it ({error})") from error
        return cls(record=record, reference=reference, amount=amount)


def learned_until(baseline: Mapping[str, Any]) -> datetime | None:
    """Event time of the newest row that a model with this baseline.json was trained or tested on, if it says so."""
    end = baseline.get("windows", {}).get("test", {}).get("end")
    return datetime.fromisoformat(end) if end else None
