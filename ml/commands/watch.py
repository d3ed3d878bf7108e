"""A window's verdict: the model that served, its traffic and its labels, read as a stream and judged; kept in the lake.

A window is judged against one model for good, the one that main pointed at when it was judged first. It is judged again
where what it was judged on has changed: captured objects, labels, rules. Nothing here asks for anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ml import clock, config
from ml.aws import capture, labels, objects, traffic
from ml.aws.checks import Checks, fingerprint
from ml.commands.windows import Window, counted
from ml.console import note, stage
from ml.errors import ArtifactError, Refused
from ml.gitops import approvals
from ml.gitops.repository import Repository
from ml.model import artifact, drift
from ml.model.outcomes import Outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ml.aws.traffic import Batch

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that was approved, with what its archive says of the world as it was then."""

    record: config.ApprovalRecord
    reference: drift.Reference
    amount: str
    """The input that holds the amount."""

    @property
    def sha256(self) -> str:
        """The digest of its archive."""
        return self.record.artifact.sha256

    @property
    def learned_until(self) -> datetime | None:
        """When the newest row happened that it was made from or tested on; None where its archive does not say."""
        return learned_until(self.reference.document)

    @property
    def version(self) -> str:
        """What its answers call themselves."""
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
            raise Refused(f"{config.approval_path(approval)} is not there, so nothing says which model that is")
        content = objects.read(record.artifact.uri)
        found = hashlib.sha256(content).hexdigest()
        if found != record.artifact.sha256:
            raise Refused(
                f"{record.artifact.uri} has sha256 {found}, and {config.approval_path(approval)} approved "
                f"{record.artifact.sha256}; find out who replaced it"
            )
        try:
            archive = artifact.read(content)
            amount: str = json.loads(archive.files["model.json"])["amount"]
            reference = drift.Reference.of(archive.baseline)
            reference.names, reference.scores  # noqa: B018 - read now, so that it is said here what is wrong with it
        except (artifact.ArtifactInvalid, KeyError, TypeError) as error:
            raise ArtifactError(f"{record.artifact.uri}: no drift reference can be read from it ({error})") from error
        return cls(record=record, reference=reference, amount=amount)


@dataclass(frozen=True, kw_only=True)
class Check:
    """A window's verdict, as it is kept."""

    document: Mapping[str, Any]
    new: bool
    """Whether it was judged just now."""

    @cached_property
    def judgement(self) -> drift.Judgement:
        """What was found."""
        return drift.Judgement.from_dict(self.document["judgement"])

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
    def may_ripen(self) -> bool:
        """Whether labels that come later can still tell of concept drift: rows of the model have an id to join on."""
        return "concept" not in self.judgement.judged and self.document["label_summary"] is not None

    def summary(self) -> drift.WindowSummary:
        """The window's traffic, in counts."""
        return drift.WindowSummary.from_dict(self.document["summary"])


def learned_until(baseline: Mapping[str, Any]) -> datetime | None:
    """When the newest row happened that a model with this baseline.json was made from or tested on, if it says so."""
    end = baseline.get("windows", {}).get("test", {}).get("end")
    return datetime.fromisoformat(end) if end else None


class Watch:
    """Judges windows of the endpoint `endpoint`, whose lake is `bucket`, at the revision `revision` of Git.

    Args:
        rules: model-config/monitoring/drift.yaml.
        serves: the approval that main points at.
    """

    def __init__(
        self, repository: Repository, revision: str, *, bucket: str, endpoint: str, rules: config.DriftFile, serves: int
    ) -> None:
        self.bucket, self.endpoint, self.file, self.serves = bucket, endpoint, rules, serves
        self.rules = drift.Rules.from_dict(rules.to_rules())
        self.checks = Checks(bucket, endpoint)
        self._repository, self._revision = repository, revision
        self._models: dict[int, Model] = {}

    def model(self, approval: int) -> Model:
        """The model of an approval; its archive is read once."""
        if approval not in self._models:
            self._models[approval] = Model.of(self._repository, self._revision, approval)
        return self._models[approval]

    def check(self, window: Window) -> Check:
        """The verdict on a window: the one that is kept if nothing it rests on has changed, or else a new one.

        Raises:
            CloudError, DataError: S3 refuses, or what lies there is none of ours.
        """
        kept = self.checks.read(*window)
        seen = self._seen(window)
        if kept is not None and _stands(Check(document=kept, new=False), seen, self.file.labels.min_age_days):
            return Check(document=kept, new=False)
        model = self.model(kept["model"]["approval"] if kept is not None else self.serves)
        document = self._judge(window, model) | {"seen": seen}
        self.checks.write(document)
        return Check(document={"schema": 1, **document}, new=True)

    def kept(self, window: Window) -> Check | None:
        """The verdict on a window as it is kept, if there is one."""
        document = self.checks.read(*window)
        return Check(document=document, new=False) if document is not None else None

    def _seen(self, window: Window) -> dict[str, Any]:
        """What a verdict rests on, beside the model."""
        start, end = window
        # The hours beside it, too: a request near an hour's end may be filed under the next.
        found = capture.listing(self.bucket, self.endpoint, start - _HOUR, end + _HOUR)
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
            summary, outcomes, told = self._read(window, model, now)
        note(f"{summary.rows:,} rows in {told['traffic']['objects']:,} objects")
        judgement = drift.judge(
            model.reference,
            summary,
            outcomes,
            self.rules,
            start=start,
            end=end,
            as_of=now,
            reference=model.sha256,
        )
        return told | {
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

    def _read(
        self, window: Window, model: Model, now: datetime
    ) -> tuple[drift.WindowSummary, drift.LabelSummary | None, dict[str, Any]]:
        """The window in counts, its labels in counts, and what was met on the way. One batch is in memory at a time."""
        reading = traffic.read(self.bucket, self.endpoint, *window, inputs=model.reference.names)
        summary = drift.WindowSummary.empty(model.reference)
        others: dict[str, int] = {}
        with labels.join(self.bucket, keep=(model.amount,)) as join:
            for batch in reading:
                ours = _masked(batch, _own(batch, model.version, others))
                summary += _summary(ours, model.reference)
                join.add(ours)
            limits = self.file.labels
            found = join.mature(as_of=now, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days)
            outcomes = _outcomes(found, model)
            told = {
                "days": [_plain(asdict(day)) for day in found.days],
                "repeated": found.repeated,
                "without_id": found.without_id,
            }
        counts = reading.counts
        unexpected = {column: rows for (kind, column), rows in counts.schema.items() if kind == "unexpected"}
        summary = replace(summary, unexpected=dict(summary.unexpected) | unexpected)
        return summary, outcomes, {"traffic": counts.to_dict() | {"other_models": others}, "labels": told}


def history(watch: Watch, first: Check) -> list[Check]:
    """The verdicts that are decided on: of windows that do not overlap, `first` among them, in the order of time."""
    chosen = counted(watch.checks.windows(), first=first.window, unit=watch.file.window)
    found = (first if window == first.window else watch.kept(window) for window in chosen)
    return [check for check in found if check is not None]


def _stands(kept: Check, seen: Mapping[str, Any], min_age_days: int) -> bool:
    """Whether a verdict that is kept would come out the same again.

    Labels ripen with time, too: one that was made before they could be old enough stands for its day alone.
    """
    if kept.document.get("seen") != seen:
        return False
    made = datetime.fromisoformat(kept.document["judged"])
    ripe = kept.window[1] + timedelta(days=min_age_days)
    return "concept" in kept.judgement.judged or made >= ripe or made.date() == clock.now().date()


def _own(batch: Batch, version: str, others: dict[str, int]) -> NDArray[np.bool_]:
    """Which rows the model scored; counts those that another one did, by its version ('' where no answer says)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    versions = pc.fill_null(pc.cast(batch.model_versions, pa.string()), "")
    own: NDArray[np.bool_] = pc.equal(versions, version).to_numpy(zero_copy_only=False)
    if not own.all():
        for item in pc.value_counts(versions).to_pylist():
            if item["values"] != version:
                others[item["values"]] = others.get(item["values"], 0) + item["counts"]
    return own


def _masked(batch: Batch, own: NDArray[np.bool_]) -> Batch:
    """The batch as if nobody had answered the rows that another model scored: its hits and misses are its own."""
    import numpy as np

    if own.all():
        return batch
    return replace(batch, scores=np.where(own, batch.scores, np.nan), decisions=np.where(own, batch.decisions, -1))


def _summary(batch: Batch, reference: drift.Reference) -> drift.WindowSummary:
    import numpy as np

    inputs: Any = batch.inputs
    if inputs is None:  # answers alone were captured
        inputs = np.full((len(batch), len(batch.names)), np.nan)
    return drift.WindowSummary.of(
        reference, inputs, names=batch.names, scores=batch.scores, decisions=batch.decisions, times=batch.times
    )


def _outcomes(found: labels.Labelled, model: Model) -> drift.LabelSummary | None:
    """Mature days with hits and misses; the others with how many of their rows have a label, and no more."""
    if not found.days:
        return None
    bands = len(model.reference.document["fraud_by_amount"]["edges"]) + 1
    total = drift.LabelSummary(bands=bands, days={})
    for batch in found.rows():
        total += drift.LabelSummary.of(
            model.reference,
            times=batch.times,
            labels=batch.labels,
            decisions=batch.decisions,
            amounts=batch.columns[model.amount],
        )
    days = {}
    for day in found.days:
        counted = total.days.get(day.day, Outcomes.none(bands)) if day.mature else Outcomes.none(bands)
        days[day.day] = replace(counted, rows=day.rows, labelled=day.labelled)
    return drift.LabelSummary(bands=bands, days=days)


def _plain(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in document.items()}
