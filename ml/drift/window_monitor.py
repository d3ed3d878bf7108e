"""Evaluates a window for drift: loads the model, aggregates traffic and labels, stores the verdict.

A window always belongs to one model: the champion at its first evaluation. It is evaluated again only if its captured
objects, labels or rules have changed. Creates no retrain request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from ml import clock, config
from ml.aws.capture import object_listing
from ml.aws.drift_check_store import SCHEMA, Checks, fingerprint_of
from ml.aws.labels import store
from ml.aws.s3_objects import Entry
from ml.console import note, stage
from ml.drift import traffic_aggregation
from ml.drift.approved_model import Model, reference_days
from ml.drift.calendar import Window, latest_without_overlap, whole, without_overlap
from ml.gitops.repository import Repository
from ml.model.drift import detector
from ml.model.drift.settings import POOLED_WINDOWS

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Check:
    """The stored drift check of one window."""

    document: Mapping[str, Any]
    new: bool
    """Whether this run evaluated it."""

    @cached_property
    def verdict(self) -> detector.DriftVerdict:
        """The verdict of the window."""
        return detector.DriftVerdict.from_dict(self.document["verdict"])

    @property
    def window(self) -> Window:
        """Start and end."""
        return self.verdict.start, self.verdict.end

    @property
    def approval(self) -> int:
        """The approval of the model that it was evaluated against."""
        number: int = self.document["model"]["approval"]
        return number

    @property
    def may_mature(self) -> bool:
        """Whether later labels can still show concept drift: rows of the model have an id to join on."""
        return "concept" not in self.verdict.evaluated and self.document["label_summary"] is not None

    def summary(self) -> detector.WindowSummary:
        """The counts of the window's traffic."""
        return detector.WindowSummary.from_dict(self.document["summary"])


class Monitor:
    """Evaluates windows of one endpoint. Reads approvals at `revision` of Git, traffic and labels from `bucket`.

    Args:
        rules: model-config/monitoring/drift.yaml.
        serves: the approval that the serving pointer of main names.
        cache: a folder that keeps downloaded label files for later monitors; None keeps none.
    """

    def __init__(
        self,
        repository: Repository,
        revision: str,
        *,
        bucket: str,
        endpoint: str,
        rules: config.DriftFile,
        serves: int,
        cache: Path | None = None,
    ) -> None:
        self.bucket, self.endpoint, self.file, self.serves, self.cache = bucket, endpoint, rules, serves, cache
        self.rules = detector.Rules.from_dict(rules.to_rules())
        self.checks = Checks(bucket, endpoint)
        self._repository, self._revision = repository, revision
        self._models: dict[int, Model] = {}

    def model(self, approval: int) -> Model:
        """The model of an approval. Its archive is read once."""
        if approval not in self._models:
            self._models[approval] = Model.of(self._repository, self._revision, approval)
        return self._models[approval]

    def check(self, window: Window) -> Check:
        """The check of a window: the stored one if its inputs have not changed, otherwise a new one.

        Raises:
            CloudError, DataError: S3 cannot be read, or an object has another format.
        """
        stored = self.stored(window)
        inputs = self._fingerprint(window)
        if stored is not None and _is_current(stored, inputs, self.file.labels.min_age_days):
            return stored
        model = self.model(stored.approval if stored is not None else self.serves)
        document = self._evaluate(window, model, inputs, stored) | {"seen": inputs}
        self.checks.write(document)
        return Check(document={"schema": SCHEMA, **document}, new=True)

    def stored(self, window: Window) -> Check | None:
        """The stored check of a window; None if there is none."""
        document = self.checks.read(*window)
        return Check(document=document, new=False) if document is not None else None

    def _fingerprint(self, window: Window) -> dict[str, Any]:
        """Identifies the inputs of a verdict, apart from the model."""
        start, end = window
        # One hour more on each side: a request near the end of an hour may be stored under the next one.
        volume = object_listing.measure_volume(self.bucket, self.endpoint, start - _HOUR, end + _HOUR)
        rules = json.dumps(asdict(self.rules), sort_keys=True)
        return {
            "capture": {"objects": volume.objects, "bytes": volume.bytes},
            "labels": self.labels_sha256,
            "rules": hashlib.sha256(rules.encode()).hexdigest(),
        }

    @cached_property
    def labels_sha256(self) -> str:
        """The fingerprint of all label files."""
        return fingerprint_of(self.label_objects).sha256

    @cached_property
    def label_objects(self) -> list[Entry]:
        """The objects below labels/, which a lake with daily deliveries has by the hundred: listed once."""
        return store.listed(self.bucket)

    def _evaluate(
        self, window: Window, model: Model, inputs: Mapping[str, Any], stored: Check | None
    ) -> dict[str, Any]:
        now, (start, end) = clock.now(), window
        same = stored is not None and stored.document.get("seen", {}).get("capture") == inputs["capture"]
        counted = stored.document if stored is not None and same else None
        with stage(f"reading traffic and labels from {clock.stamp(start)} to {clock.stamp(end)}"):
            summary, outcomes, counts = self._read(window, model, now, inputs["capture"], counted)
        note(f"{summary.rows:,} rows in {counts['traffic']['objects']:,} objects")
        verdict = detector.evaluate(
            model.reference,
            summary,
            outcomes,
            self.rules,
            start=start,
            end=end,
            as_of=now,
            reference=model.sha256,
            earlier=self._earlier_labels(window, model),
        )
        return counts | {
            "endpoint": self.endpoint,
            "start": clock.stamp(start),
            "end": clock.stamp(end),
            "evaluated": clock.stamp(now),
            "model": {
                "approval": model.record.approval,
                "artifact_sha256": model.sha256,
                "model_package_arn": model.record.model_package_arn,
                "reference": reference_days(model.reference.document),
            },
            "summary": summary.to_dict(),
            "label_summary": outcomes.to_dict() if outcomes is not None else None,
            "verdict": verdict.to_dict(),
            "report": self.checks.uri("reports", start, end, "report.html"),
        }

    def _read(
        self,
        window: Window,
        model: Model,
        now: datetime,
        capture: Mapping[str, int],
        counted: Mapping[str, Any] | None,
    ) -> tuple[detector.WindowSummary, detector.LabelSummary | None, dict[str, Any]]:
        """The counts of traffic and labels, made where drift.yaml says; of a job, with its name as `job`.

        A job whose rows are kept is not started again for other labels.

        Args:
            capture: objects and bytes of the traffic.
            counted: the stored check that has counted the same traffic; None if none has.
        """
        instances, limits = self.file.compute.job(), self.file.labels
        if instances is not None:
            from ml.drift import counting_job, shard_aggregation, spark_aggregation  # they import the SageMaker SDK

            before = counted.get("job") if counted is not None else None
            again = before and shard_aggregation.read_again(
                before, self.bucket, self.endpoint, window, model=model, limits=limits, now=now
            )
            if again:
                summary, labels, counts = again
                return summary, labels, counts | {"job": before}
            engine = spark_aggregation if instances.engine == "spark" else shard_aggregation
            job = counting_job.run(
                engine.PROGRAM,
                self.bucket,
                self.endpoint,
                window,
                model=model,
                limits=limits,
                now=now,
                instances=instances,
                root=self._repository.root,
            )
            if job is not None:
                summary, labels, counts = engine.read(job)
                return summary, labels, counts | {"job": job.name}
        return traffic_aggregation.read_keeping(
            self.bucket, self.endpoint, window, model=model, limits=limits, now=now, capture=capture, counted=counted
        )

    def _earlier_labels(self, window: Window, model: Model) -> list[detector.LabelSummary]:
        """The stored labels of the windows before `window` that `model` was evaluated on, the latest first."""
        unit, first = self.file.window, window[0]
        known = (each for each in self.checks.windows() if each[1] <= first and whole(each, unit))
        found: list[detector.LabelSummary] = []
        for each in reversed(latest_without_overlap(known)[1 - max(POOLED_WINDOWS) :]):
            document = self.checks.read(*each)
            stored = document["label_summary"] if document is not None else None
            if document is None or stored is None or document["model"]["artifact_sha256"] != model.sha256:
                break
            found.append(detector.LabelSummary.from_dict(stored))
        return found


def history(monitor: Monitor, first: Check) -> list[Check]:
    """The checks that a decision uses: windows that do not overlap, `first` among them, oldest first."""
    windows = without_overlap(monitor.checks.windows(), first=first.window, unit=monitor.file.window)
    checks = (first if window == first.window else monitor.stored(window) for window in windows)
    return [check for check in checks if check is not None]


def _is_current(stored: Check, inputs: Mapping[str, Any], min_age_days: int) -> bool:
    """Whether a new evaluation would give the same verdict.

    Labels also mature by age: a check that ran before they could be old enough is current only on the same day.
    """
    if stored.document.get("seen") != inputs:
        return False
    evaluated = datetime.fromisoformat(stored.document["evaluated"])
    mature = stored.window[1] + timedelta(days=min_age_days)
    return "concept" in stored.verdict.evaluated or evaluated >= mature or evaluated.date() == clock.now().date()
