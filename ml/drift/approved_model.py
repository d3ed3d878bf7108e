"""Loads the approved model and the drift reference of a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml import config
from ml.aws.capture.traffic_counts import CountedModel
from ml.errors import ArtifactError, Refused
from ml.gitops import approvals
from ml.gitops.repository import Repository
from ml.model.document_fields import ArtifactInvalid
from ml.model.drift import detector
from ml.model.drift.sequential_fraud_rate_test import FraudRates
from ml.model.scorer import Scorer
from ml.records import model_archive


@dataclass(frozen=True, kw_only=True)
class Model:
    """An approved model with the drift reference of its archive."""

    record: config.ApprovalRecord
    reference: detector.Reference
    amount: str | None
    """The name of the input with the amount; None if the data has none."""
    rates: FraudRates
    """The fraud rates of the reference, for the daily concept test."""
    scorer: Scorer

    @property
    def sha256(self) -> str:
        """The SHA-256 digest of the archive."""
        return self.record.artifact.sha256

    @property
    def counted(self) -> CountedModel:
        """What counting a window's traffic needs of it."""
        return CountedModel(
            reference=self.reference,
            version=self.version,
            amount=self.amount,
            iso_times=self.scorer.document.iso_times,
        )

    @property
    def learned_until(self) -> datetime | None:
        """The event time of its newest training or test row; None if the archive does not state it."""
        return learned_until(self.reference.document)

    @property
    def new_pattern(self) -> tuple[int, int] | None:
        """Frauds and alerts of the new pattern on the held-out rows; None if there is no such alert."""
        counts = self.reference.document["new_pattern"]
        return (counts["frauds"], counts["alerts"]) if counts["alerts"] else None

    @property
    def version(self) -> str:
        """The model version that its responses state."""
        return f"{self.record.approval:04d}"

    @classmethod
    def of(cls, repository: Repository, revision: str, approval: int) -> Model:
        """Loads the model of an approval that is recorded at `revision`.

        Raises:
            Refused: there is no approval record, or the archive is not the approved one.
            ArtifactError: the archive cannot be read, or has no drift reference.
        """
        record = approvals.read_record(repository, revision, approval)
        if record is None:
            raise Refused(f"{config.approval_path(approval)} does not exist, so the model is unknown")
        archive = model_archive.read_approved(record)
        try:
            reference = detector.Reference.of(archive.baseline)
            rates = FraudRates.of(archive.baseline)
            reference.names, reference.scores  # noqa: B018 - parsed here, so that a defect is reported with its URI
        except (ArtifactInvalid, KeyError, TypeError) as error:
            raise ArtifactError(f"{record.artifact.uri}: no drift reference can be read from it ({error})") from error
        return cls(
            record=record, reference=reference, amount=archive.model.document.amount, rates=rates, scorer=archive.model
        )


def reference_days(document: Mapping[str, Any]) -> dict[str, str] | None:
    """The event times of the first and the last row of baseline.json; None if it does not state them."""
    parts = [part for part in document.get("windows", {}).values() if part.get("start") and part.get("end")]
    if not parts:
        return None
    return {"start": min(part["start"] for part in parts), "end": max(part["end"] for part in parts)}


def learned_until(document: Mapping[str, Any]) -> datetime | None:
    """The event time of the newest training or test row that baseline.json states; None if it states none."""
    end = document.get("windows", {}).get("test", {}).get("end")
    return datetime.fromisoformat(end) if end else None
