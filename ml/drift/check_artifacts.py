"""Writes the files of a drift check: report, plots, Model Monitor export, CloudWatch metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import atomic_file
from ml.aws import drift_check_store, model_monitor_export, s3_objects
from ml.aws.cloudwatch_metrics import Point
from ml.console import stage
from ml.errors import DataError, FraudopsError
from ml.model.drift import detector
from ml.model.drift.histogram import Column, Tally
from ml.model.drift.verdict import CAUSES, CONCEPT, KINDS, NONE, VERDICTS

if TYPE_CHECKING:
    from ml.drift.approved_model import Model
    from ml.drift.concept_alarm import ConceptAlarm
    from ml.drift.missing_labels import NoLabels
    from ml.drift.result import NoTraffic
    from ml.drift.window_monitor import Check, Monitor


_UNSEEN = "(unseen values)"
_CHECK = "check"
"""The metadata of a report's files that holds the digest of their check."""


def write(monitor: Monitor, check: Check, past: Sequence[Check]) -> None:
    """Writes report, plots and Model Monitor files of a window, unless they exist for this check.

    The report page is written last, with the digest of the check, so that it names a check only if all other files are
    about it. The next run completes an aborted one, also where files of an earlier check of the window exist.

    Args:
        past: earlier windows, for comparison in the report.
    """
    if not check.new and are_written(check):
        return
    about = {_CHECK: _digest(check)}
    with stage("drawing the report"):
        _model_monitor(monitor, check)
        for name, (content, content_type) in _report(monitor, check, past).items():
            uri = monitor.checks.uri("reports", *check.window, name)
            s3_objects.write(uri, content, content_type, about)


def are_written(check: Check) -> bool:
    """Whether all files about this check exist, and not only those of an earlier check of its window.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    try:
        return s3_objects.metadata(check.document["report"]).get(_CHECK) == _digest(check)
    except DataError:
        return False


def _digest(check: Check) -> str:
    return hashlib.sha256(drift_check_store.encoded(check.document)).hexdigest()


def copy_report(check: Check, file: Path) -> None:
    """Copies the stored report page of a window to `file`.

    Raises:
        CloudError: the page cannot be read.
        DataError: the page is missing in the lake.
        FraudopsError: `file` cannot be written.
    """
    content = s3_objects.read(check.document["report"])
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(file) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise FraudopsError(f"{file}: cannot be written ({error.strerror}); choose another path") from error


def _report(monitor: Monitor, check: Check, past: Sequence[Check]) -> dict[str, tuple[bytes, str]]:
    from ml.report import drift_report as drawing

    earlier = [each.verdict for each in past if each.window[1] <= check.window[1]]
    pictures = drawing.draw(
        monitor.model(check.approval).reference, check.verdict, check.summary(), earlier, monitor.rules
    )
    page = drawing.page(check.document, check.verdict, earlier, pictures)
    files = {name: (content, "image/png") for name, content in pictures.items()}
    return files | {"report.html": (page.encode(), "text/html; charset=utf-8")}


def _model_monitor(monitor: Monitor, check: Check) -> None:
    model, (start, end) = monitor.model(check.approval), check.window
    reference, window = _reference(model), _window(model, check.summary())
    rules = monitor.rules
    limits = model_monitor_export.constraints(
        reference, max_missing=rules.schema.max_missing, max_distance=rules.data.min_ks
    )
    rows = max((column.n + column.missing for column in reference), default=0)
    of_window = {
        model_monitor_export.STATISTICS: model_monitor_export.statistics(check.verdict.rows, window),
        model_monitor_export.CONSTRAINTS: limits,
        model_monitor_export.VIOLATIONS: model_monitor_export.violations(_violations(check)),
    }
    of_model = {
        model_monitor_export.STATISTICS: model_monitor_export.statistics(rows, reference),
        model_monitor_export.CONSTRAINTS: limits,
    }
    for name, document in of_window.items():
        uri = monitor.checks.uri("model-monitor", start, end, name)
        s3_objects.write(uri, drift_check_store.encoded(document), "application/json")
    for name, document in of_model.items():
        uri = monitor.checks.baseline_uri(model.sha256, name)
        s3_objects.write(uri, drift_check_store.encoded(document), "application/json")


_Exported = model_monitor_export.Column | model_monitor_export.Category


def _reference(model: Model) -> list[_Exported]:
    return [
        _category(column, column.summary.counts, 0, column.summary.missing)
        if column.levels is not None
        else model_monitor_export.Column(
            name=column.name,
            n=column.summary.n,
            missing=column.summary.missing,
            mean=column.summary.mean,
            std=column.summary.std,
            low=column.summary.min,
            high=column.summary.max,
            edges=column.summary.edges,
            counts=column.summary.counts,
        )
        for column in model.reference.columns
    ]


def _window(model: Model, summary: detector.WindowSummary) -> list[_Exported]:
    return [_column(column, summary.columns[column.name]) for column in model.reference.columns]


def _category(column: Column, counts: Sequence[int], unseen: int, missing: int) -> model_monitor_export.Category:
    """The rows of each value of the reference; captured rows are counted by it, so all other values are one."""
    levels = column.levels.levels if column.levels is not None else ()
    values = dict(zip(levels, counts, strict=True)) | ({_UNSEEN: unseen} if unseen else {})
    return model_monitor_export.Category(name=column.name, missing=missing, counts=values)


def _column(column: Column, tally: Tally) -> _Exported:
    if column.levels is not None:
        return _category(column, tally.bins, tally.unseen, tally.missing)
    mean, std = column.binner.moments(tally.n, tally.total, tally.squares)
    return model_monitor_export.Column(
        name=column.name,
        n=tally.n,
        missing=tally.missing,
        mean=mean,
        std=std,
        low=tally.low,
        high=tally.high,
        edges=column.summary.edges,
        counts=tally.bins,
    )


def _violations(check: Check) -> Iterator[tuple[str, str, str]]:
    """One violation per column and kind that fired. Findings without a Model Monitor type are only in the report."""
    drifted: dict[str, list[str]] = {}
    for finding in check.verdict.findings:
        if not finding.fired or finding.subject is None:
            continue
        if finding.kind == "data":
            drifted.setdefault(finding.subject, []).append(
                f"{finding.statistic} {abs(finding.value or 0.0):.4g} exceeds {finding.threshold:.4g}"
            )
        elif finding.kind == "schema" and finding.statistic in ("missing", "unexpected_field", "unseen"):
            absent = finding.statistic == "missing" and finding.value == 1.0
            yield finding.subject, "absent" if absent else finding.statistic, finding.detail
    for name, words in drifted.items():
        yield name, "drift", "; ".join(words)


def points(
    check: Check,
    past: Sequence[Check],
    no_traffic: NoTraffic | None,
    alarm: ConceptAlarm | None,
    no_labels: NoLabels | None,
) -> Iterator[Point]:
    """The CloudWatch metrics: each verdict as 0 or 1, the distances of each input, and the rates from mature labels.

    Labels come late. Label metrics are those of the newest window of the same model, up to `check`, with mature labels;
    for monthly windows that is rarely `check` itself.

    Args:
        past: earlier windows, oldest first.
        alarm: the daily concept test, whose evidence is a natural logarithm.
    """
    verdict = check.verdict
    earlier = [each.verdict for each in past if each.window[1] <= check.window[1]]
    labelled_windows = [
        each for each in [*earlier, verdict] if CONCEPT in each.evaluated and each.reference == verdict.reference
    ]
    labelled = labelled_windows[-1] if labelled_windows else verdict
    verdicts = {*verdict.verdicts} - {CONCEPT}
    if CONCEPT in labelled.verdicts:
        verdicts = verdicts - {NONE} | {CONCEPT}
    for name in VERDICTS:
        yield Point(name="Verdict", value=float(name in verdicts), dimensions={"Verdict": name})
    for kind in CAUSES:
        source = labelled if kind == CONCEPT else verdict
        if kind in source.evaluated:
            yield Point(name="Findings", value=float(len(source.fired(kind))), dimensions={"Kind": kind}, unit="Count")
    yield Point(name="Rows", value=float(verdict.rows), unit="Count")
    yield Point(name="Drift", value=float(any(kind in verdicts for kind in KINDS)))
    if alarm is not None:
        yield Point(name="ConceptAlarm", value=float(alarm.fired))
        if alarm.ended is not None:
            yield Point(name="NewPatternEnded", value=float(alarm.ended.fired))
        yield Point(name="ConceptEvidence", value=alarm.evidence.log_evidence)
    yield Point(name="NoTraffic", value=float(no_traffic is not None))
    yield Point(name="NoLabels", value=float(no_labels is not None))
    if no_traffic is not None:
        yield Point(name="HoursWithoutTraffic", value=no_traffic.hours)
    columns: list[tuple[str, Any]] = [(feature.name, feature) for feature in verdict.features]
    if verdict.scores is not None:
        columns.append(("score", verdict.scores))
    for name, feature in columns:
        own = ("KolmogorovSmirnov", feature.ks) if feature.unseen is None else ("UnseenValues", feature.unseen)
        yield Point(name=own[0], value=own[1], dimensions={"Feature": name})
        yield Point(name="PopulationStabilityIndex", value=feature.psi, dimensions={"Feature": name})
    metric_names = {
        "recall": "Recall",
        "precision": "Precision",
        "false_positive_rate": "FalsePositiveRate",
        "alert_rate": "AlertRate",
    }
    concept_findings = [finding for finding in labelled.findings if finding.kind == CONCEPT and finding.windows == 1]
    for finding in [*(each for each in verdict.findings if each.kind != CONCEPT), *concept_findings]:
        if finding.statistic in metric_names and finding.subject is None and finding.value is not None:
            yield Point(name=metric_names[finding.statistic], value=finding.value)
    if verdict.estimated is not None:
        yield Point(name="EstimatedRecall", value=verdict.estimated.recall[0])
