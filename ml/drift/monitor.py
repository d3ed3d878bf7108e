"""Judges a window: finds the model that served, aggregates traffic and labels, stores the verdict.

A window is always judged against the model that main pointed at when it was judged first. It is judged again if its
captured objects, labels or rules have changed. Creates no request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from ml import clock, config
from ml.aws.capture import inventory
from ml.aws.drift_check_store import Checks, fingerprint
from ml.console import note, stage
from ml.drift import aggregation
from ml.drift.calendar import Window, counted
from ml.drift.reference_model import Model
from ml.gitops.repository import Repository
from ml.model.drift import detector

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A window's verdict, as it is stored."""

    document: Mapping[str, Any]
    new: bool
    """Whether this check judged it."""

    @cached_property
    def judgement(self) -> detector.DriftVerdict:
        """The verdict."""
        return detector.DriftVerdict.from_dict(self.document["judgement"])

    @property
    def window(self) -> Window:
        """Start and end."""
        return self.judgement.start, self.judgement.end

    @property
    def approval(self) -> int:
        """The model that it was judged against."""
        number: int = self.document["model"]["approval"]
        return number

    @property
    def may_mature(self) -> bool:
        """Whether later labels can still show concept drift: the rows have ids to join on."""
        return "concept" not in self.judgement.judged and self.document["label_summary"] is not None

    def summary(self) -> detector.WindowSummary:
        """The window's traffic, in counts."""
        return detector.WindowSummary.from_dict(self.document["summary"])


class Monitor:
    """Judges windows of the endpoint `endpoint`, whose lake is `bucket`, at the revision `revision` of Git.

    Args:
        rules: model-config/monitoring/drift.yaml.
        serves: the approval that main points at.
    """

    def __init__(
        self, repository: Repository, revision: str, *, bucket: str, endpoint: str, rules: config.DriftFile, serves: int
    ) -> None:
        self.bucket, self.endpoint, self.file, self.serves = bucket, endpoint, rules, serves
        self.rules = detector.Rules.from_dict(rules.to_rules())
        self.checks = Checks(bucket, endpoint)
        self._repository, self._revision = repository, revision
        self._models: dict[int, Model] = {}

    def model(self, approval: int) -> Model:
        """The model of an approval; its archive is read once."""
        if approval not in self._models:
            self._models[approval] = Model.of(self._repository, self._revision, approval)
        return self._models[approval]

    def check(self, window: Window) -> Check:
        """The verdict on a window: the stored one if its inputs have not changed, else a new one.

        Raises:
            CloudError, DataError: S3 refuses, or an object is not in the expected form.
        """
        kept = self.checks.read(*window)
        seen = self._seen(window)
        if kept is not None and _is_current(Check(document=kept, new=False), seen, self.file.labels.min_age_days):
            return Check(document=kept, new=False)
        model = self.model(kept["model"]["approval"] if kept is not None else self.serves)
        document = self._judge(window, model) | {"seen": seen}
        self.checks.write(document)
        return Check(document={"schema": 1, **document}, new=True)

    def kept(self, window: Window) -> Check | None:
        """The stored verdict on a window, if there is one."""
        document = self.checks.read(*window)
        return Check(document=document, new=False) if document is not None else None

    def _seen(self, window: Window) -> dict[str, Any]:
        """The inputs of a verdict, beside the model."""
        start, end = window
        # The adjacent hours too: a request near an hour's end may be in the next hour's files.
        found = inventory.listing(self.bucket, self.endpoint, start - _HOUR, end + _HOUR)
        rules = json.dumps(asdict(self.rules), sort_keys=True)
        return {
            "capture": {"objects": found.objects, "bytes": found.bytes},
            "labels": self._labels,
            "rules": hashlib.sha256(rules.encode()).hexdigest(),
        }

    @cached_property
    def _labels(self) -> str:
        return fingerprint(self.bucket, "labels/").sha256

    def _judge(self, window: Window, model: Model) -> dict[str, Any]:
        now, (start, end) = clock.now(), window
        with stage(f"reading traffic from {clock.stamp(start)} to {clock.stamp(end)}"):
            summary, outcomes, counters = aggregation.read(
                self.bucket, self.endpoint, window, model=model, limits=self.file.labels, now=now
            )
        note(f"{summary.rows:,} rows in {counters['traffic']['objects']:,} objects")
        judgement = detector.judge(
            model.reference,
            summary,
            outcomes,
            self.rules,
            start=start,
            end=end,
            as_of=now,
            reference=model.sha256,
        )
        return counters | {
            "endpoint": self.endpoint,
            "start": clock.stamp(start),
            "end": clock.stamp(end),
            "judged": clock.stamp(now),
            "model": {
                "approval": model.record.approval,
                "artifact_sha256": model.sha256,
                "model_package_arn": model.record.model_package_arn,
            },
            "summary": summary.to_dict(),
            "label_summary": outcomes.to_dict() if outcomes is not None else None,
            "judgement": judgement.to_dict(),
            "report": self.checks.uri("reports", start, end, "report.html"),
        }


def history(monitor: Monitor, first: Check) -> list[Check]:
    """The verdicts that a decision uses: of windows that do not overlap, `first` among them, oldest first."""
    chosen = counted(monitor.checks.windows(), first=first.window, unit=monitor.file.window)
    found = (first if window == first.window else monitor.kept(window) for window in chosen)
    return [check for check in found if check is not None]


def _is_current(kept: Check, seen: Mapping[str, Any], min_age_days: int) -> bool:
    """Whether a stored verdict would be the same if judged again.

    Labels also mature with time: a verdict made before they could be old enough is valid for its day only.
    """
    if kept.document.get("seen") != seen:
        return False
    judged_at = datetime.fromisoformat(kept.document["judged"])
    mature_at = kept.window[1] + timedelta(days=min_age_days)
    return "concept" in kept.judgement.judged or judged_at >= mature_at or judged_at.date() == clock.now().date()
