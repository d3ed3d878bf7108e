"""Reads stored drift checks and their reports from the lake, and makes the table of drift by input and window.

A report is untrusted. It is copied only if it begins with the policy under which it loads and runs nothing and sends no
form, and has no element that the policy does not restrict. Reports that older versions wrote under a weaker policy are
left out: a forger could always use that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ml.aws import drift_check_store, s3_objects
from ml.aws.drift_check_store import Checks
from ml.errors import DataError
from ml.model.drift.verdict import CONCEPT, KINDS, NO_DATA, DriftVerdict
from ml.report import drift_words, heat_tables, judged_rows
from ml.report.heat_tables import Cell, Row
from ml.site import request_causes, wording
from ml.site.values import DriftState, Request, Site

_HEAD = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
"""
"""What ml/report/templates/page.html begins with."""
_OUTSIDE_POLICY = re.compile(rb"<(?:meta|base|link)", re.I)
"""Elements that may leave the page or connect to a host whatever the policy says. Reports escape `<` in text."""
URGENT = "needs action"
"""What the words of `urgency` begin with if a person has to act."""
_MONTH_DAYS = 27
"""A window of at least so many days is named by its month."""


def read(checks: Checks, windows: Iterable[tuple[datetime, datetime]]) -> tuple[DriftState, ...]:
    """The checks of `windows`, in their order, with their reports.

    Raises:
        CloudError, DataError: S3 refuses, or a check has another schema.
    """
    found = ((window, checks.read(*window)) for window in windows)
    return tuple(_state(window, document) for window, document in found if document is not None)


def is_harmless(page: bytes) -> bool:
    """Whether a browser loads and runs nothing in a report, and leaves it only on a click."""
    return page.startswith(_HEAD) and _OUTSIDE_POLICY.search(page, len(_HEAD)) is None


def heat_rows(states: Sequence[DriftState], floor: float) -> list[Row]:
    """The shift of each input in each window, in hundredths.

    Args:
        floor: the shift from which an input may count as drifted.
    """
    names = dict.fromkeys(name for state in states for name in state.shifts)
    return [Row(name=name, cells=tuple(_cell(state, name, floor) for state in states)) for name in names]


@dataclass(frozen=True, kw_only=True)
class Column:
    """The head of a column of the table: a short name, and the whole window."""

    name: str
    title: str
    model: str
    """The model whose approval the shifts are measured from."""
    changed: bool
    """Whether that is another one than in the column before."""


def columns(states: Sequence[DriftState]) -> list[Column]:
    """The heads of the columns of `heat_rows`."""
    before = [None, *(state.approval for state in states)]
    return [
        Column(
            name=_short(state),
            title=wording.span(state.start, state.end),
            model=f"{state.approval:04d}",
            changed=last is not None and last != state.approval,
        )
        for state, last in zip(states, before, strict=False)
    ]


def urgency(site: Site, check: DriftState) -> str:
    """What a check is, in words: drift that needs action, or what ended that; shifted inputs only; or its kind.

    Drift needs action while the model serves, unless a later check of it has tested the same and found nothing. An
    alarm that nothing has answered needs it whatever serves. A model that answered needs to serve first.
    """
    alarms = request_causes.alarms(check, site.requests)
    found = [kind for kind in check.fired if kind != "data"]
    if not alarms and not found:
        return "shifted inputs only" if check.fired else check.kind
    current = site.current
    if current is None or current.approval == check.approval:
        return _of_serving(site, check, alarms, found)
    if any(item.resolution is None for item in alarms):
        return f"{URGENT}: alarm"
    answers = _answers(check, site)
    every = [*(["alarm"] if alarms else []), *found]
    asked, left = ([kind for kind in every if (kind in answers) == answered] for answered in (True, False))
    if not asked:
        drift = [f"{' and '.join(found)} drift"] if found else []
        named = (", and " if len(found) > 1 else " and ").join([*(["alarm"] if alarms else []), *drift])
        return f"{named} of model {check.approval:04d}, which was replaced"
    said = f"answered by model {max(answers[kind] for kind in asked)}: {', '.join(asked)}"
    return f"{said}; without a request: {', '.join(left)}" if left else said


def _of_serving(site: Site, check: DriftState, alarms: Sequence[Request], found: Sequence[str]) -> str:
    """The words on a check of the model that serves: what is left of its drift, and what answered or ended the rest."""
    kinds = ", ".join(found)
    left = [
        *(["alarm"] if _unanswered(alarms, check.approval) else []),
        *(kind for kind in found if not _gone(site, check, kind)),
    ]
    if left:
        return f"{URGENT}: {', '.join(left)}"
    if not alarms:
        return f"not found again: {kinds}"
    return f"answered by model {check.approval:04d}: alarm{f'; not found again: {kinds}' if found else ''}"


def _unanswered(alarms: Sequence[Request], approval: int) -> list[Request]:
    """The alarms but those that led to this model, and answered ones before them: they are of the model before."""
    led = [
        item.landed.time
        for item in alarms
        if item.resolution is not None
        and not item.resolution.gate_failed
        and item.resolution.record.stem == f"{approval:04d}"
    ]
    return [item for item in alarms if item.resolution is None or not led or item.landed.time > max(led)]


def _answers(check: DriftState, site: Site) -> dict[str, str]:
    """The kinds of drift of a check whose own request led to a model, and that model. Other kinds asked for nothing."""
    found: dict[str, str] = {}
    for item in site.requests:
        if not request_causes.counts(item, check) or item.resolution is None or item.resolution.gate_failed:
            continue
        kinds = [item.request.cause.removesuffix("-drift")]
        kinds += ["alarm"] if request_causes.cause(item) == "alarm" else []
        found |= dict.fromkeys(kinds, item.resolution.record.stem)
    return found


def _gone(site: Site, check: DriftState, kind: str) -> bool:
    """Whether a later check of the same model has tested a kind of drift and did not find it."""
    later = [each for each in site.checks if each.approval == check.approval and each.end > check.end]
    tested = (each for each in later if (each.concept_tested if kind == CONCEPT else each.kind != "no data"))
    return any(kind not in each.fired for each in tested)


def _state(window: tuple[datetime, datetime], document: dict[str, Any]) -> DriftState:
    verdict, counts = DriftVerdict.from_dict(document["verdict"]), document["summary"]
    report, missing = _report(document["report"])
    labels, judged = verdict.labels or {}, judged_rows.read(document, verdict.rows)
    return DriftState(
        name=drift_check_store.window_name(*window),
        start=verdict.start,
        end=verdict.end,
        evaluated=datetime.fromisoformat(document["evaluated"]),
        approval=document["model"]["approval"],
        headline=drift_words.headline(verdict, judged),
        overlap=drift_words.overlap(document, verdict),
        lines=tuple(line.words for line in drift_words.lines(verdict)),
        kind=_kind(verdict),
        rows=verdict.rows,
        decided=counts["decided"],
        alerts=counts["alerts"],
        judged=judged,
        label_days=labels.get("days", 0),
        mature_days=labels.get("mature_days", 0),
        concept_tested=CONCEPT in verdict.evaluated,
        recall=verdict.estimated.recall if verdict.estimated is not None else None,
        fired=tuple(kind for kind in KINDS if kind in verdict.verdicts),
        shifts={each.name: each.ks if each.unseen is None else each.js for each in verdict.features},
        drifted=frozenset(each.name for each in verdict.features if each.fired),
        report=report,
        report_missing=missing,
    )


def _kind(verdict: DriftVerdict) -> Literal["drift", "no data", "no drift"]:
    if any(kind in verdict.verdicts for kind in KINDS):
        return "drift"
    return "no data" if NO_DATA in verdict.verdicts else "no drift"


def _report(uri: str) -> tuple[bytes | None, str]:
    """The report, or why there is none."""
    try:
        content = s3_objects.read(uri)
    except DataError as error:
        return None, str(error)
    if not is_harmless(content):
        return None, f"{uri} is not copied: it is not in the form of this version's reports, which can load nothing"
    return content, ""


def _cell(state: DriftState, name: str, floor: float) -> Cell:
    value, window = state.shifts.get(name), wording.span(state.start, state.end)
    if value is None:
        return Cell(text="", class_="gap", title=f"{name}, {window}: not known")
    drifted = name in state.drifted
    level = f"h{heat_tables.drift_level(value, floor)}"
    return Cell(
        text=f"{100 * value:.0f}",
        class_=f"{level} fired" if drifted else level,
        title=f"{name}, {window}: {value:.3f}{', drifted' if drifted else ''}",
    )


def _short(state: DriftState) -> str:
    long = (state.end - state.start).days >= _MONTH_DAYS
    return f"{state.start:%b %y}" if long else f"{state.start.day} {state.start:%b}"
