"""Writes the card of a model from its approval record and its evaluation: sentences and tables. Computes no figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.config import ApprovalRecord
from ml.gitops import daily_rates, high_amounts, kind_table, metric_tables
from ml.gitops.commit_messages import KINDS
from ml.report import threshold_points
from ml.site import limits, observed_alerts, wording
from ml.site.time_line import number
from ml.site.values import Evidence, Period, Request, Site

# name in the record → name on the page, what it is in words, whether it is a rate
_METRICS = {
    "recall": ("recall", "share of the frauds that raise an alert", True),
    "precision": ("precision", "share of the alerts that are frauds", True),
    "false_positive_rate": ("false-positive rate", "share of the legitimate transactions that raise an alert", True),
    "alert_rate": ("alert rate", "share of all transactions that raise an alert", True),
    "recall_at_alert_budget": (
        "recall at the alert budget",
        "recall if as many transactions raise an alert as the budget allows",
        True,
    ),
    "average_precision": ("average precision", "precision over all thresholds; 1 is best", False),
    "roc_auc": ("ROC AUC", "chance that a fraud has a higher score than a legitimate transaction", False),
}
_COMPARED = ("recall", "precision", "false_positive_rate", "average_precision")
_LOW_IS_GOOD = ("false_positive_rate",)
_PARTS = {"train": "training", "validation": "choice of the threshold", "test": "test"}
_FEW_FRAUDS = 50


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A metric: its name, its meaning, its value with the interval, and its counts."""

    name: str
    meaning: str
    value: str
    counts: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """What the page of a model shows."""

    record: ApprovalRecord
    title: str
    lead: tuple[str, ...]
    """The first sentences."""
    before: int | None
    """The model that served before this one last began to serve; None if there was none."""
    after: int | None
    """The model that replaced it last; None if it serves, or never did."""
    checks: tuple[Mapping[str, Any], ...]
    """The gate's checks as evaluation.json has them; empty without it."""
    periods: tuple[Period, ...]
    requests: tuple[Request, ...]
    parts: tuple[tuple[str, Mapping[str, Any]], ...]
    """The parts of the data in the order of time."""
    figures: tuple[Figure, ...]
    threshold: tuple[tuple[str, str], ...]
    compared: tuple[tuple[str, str, str, str], ...]
    """Figure, this model, the one before, difference."""
    alerts: tuple[observed_alerts.Line, ...]
    """The alerts that the evaluation promised and that drift checks observed; empty without a check."""
    comparison: str
    """On what both were compared, or why they were not."""
    slices: tuple[tuple[str, str, str, str, str], ...]
    """Kind of rows, counts, recall of this model and of the one before, difference."""
    kinds: tuple[tuple[str, ...], ...]
    """A header and a row for each kind: transactions, rows, frauds, and what each model found and raised in vain."""
    kinds_title: str
    calibration: tuple[tuple[str, str, str, str], ...]
    """Scores, transactions, frauds, share of frauds."""
    limits: tuple[str, ...]
    missing: tuple[str, ...]
    picture: bytes | None
    picture_text: str


def card(site: Site, record: ApprovalRecord) -> Card:
    """The card of the model that `record` approves."""
    evidence = site.evidence.get(record.approval, Evidence(evaluation=None, calibration=None, picture=None, missing=()))
    evaluation = evidence.evaluation
    periods = tuple(each for each in site.periods if each.approval == record.approval)
    compared = (evaluation or {}).get("champion") or {}
    before, after = _neighbours(site, periods)
    return Card(
        record=record,
        title=f"Model {number(record.approval)}: {state(site, record.approval)}",
        lead=tuple(_lead(record, evaluation)),
        before=before,
        after=after,
        checks=tuple((evaluation or {}).get("verdict", {}).get("checks", ())),
        periods=periods,
        requests=tuple(each for each in site.requests if each.name in record.requests),
        parts=_parts(evaluation),
        figures=tuple(_figure(name, figure.model_dump()) for name, figure in _ordered(record)),
        threshold=tuple(_threshold(record, evaluation)),
        compared=tuple(_comparison(compared)),
        alerts=observed_alerts.lines(record.approval, evaluation, site.checks),
        comparison=_compared_on(record, compared),
        slices=tuple(_slices(compared)),
        kinds=tuple(kind_table.rows(evaluation or {})),
        kinds_title=kind_table.title(evaluation or {}),
        calibration=tuple(_calibration(evidence.calibration)),
        limits=tuple(_limits(record, evaluation)),
        missing=evidence.missing,
        picture=evidence.picture,
        picture_text=_picture_text(record, evaluation),
    )


def state(site: Site, approval: int) -> str:
    """In a few words: whether the model serves, has served, or never did; offline, whether Git names it or has."""
    current = site.current
    if site.offline:
        if current is not None and current.approval == approval:
            return "named by Git"
        named = any(each.approval == approval for each in site.periods)
        return "no longer named by Git" if named else "was never named by Git"
    if current is not None and current.approval == approval and current.start is not None:
        return f"serves since {wording.moment(current.start)}"
    served = [(each.start, each.end) for each in site.periods if each.approval == approval]
    ended = [(start, end) for start, end in served if start is not None and end is not None]
    if not ended:
        return "was not deployed"
    start, end = (wording.day(each) for each in ended[-1])
    return f"served until {end}, the last of {len(ended)} times" if len(ended) > 1 else f"served {start} to {end}"


def _neighbours(site: Site, periods: Sequence[Period]) -> tuple[int | None, int | None]:
    """The models that served before and after the last time that a model served; offline, that Git named."""
    served = [each for each in site.periods if each.approval is not None and (site.offline or each.start is not None)]
    own = [place for place, each in enumerate(served) if each in periods]
    if not own:
        return None, None
    last = served[own[-1]].approval
    before = [each.approval for each in served[: own[-1]] if each.approval != last]
    after = [each.approval for each in served[own[-1] + 1 :] if each.approval != last]
    return before[-1] if before else None, after[0] if after else None


def _lead(record: ApprovalRecord, evaluation: Mapping[str, Any] | None) -> Iterator[str]:
    recall, wrong = (record.metrics.get(name) for name in ("recall", "false_positive_rate"))
    if recall is not None and recall.of:
        found = f"It found {recall.count:,} of {recall.of:,} frauds in the test rows"
        alarms = f" and raised {wrong.count:,} false alarms on {wrong.of:,} others" if wrong and wrong.of else ""
        yield f"{found}{alarms}."
    if evaluation is not None and record.champion is not None:
        always = high_amounts.sentence(evaluation, f"model {number(record.champion.approval)}")
        yield from [always] if always else []
    counts, days = (evaluation or {}).get("confusion"), daily_rates.days(evaluation) if evaluation else None
    if counts and days:
        alerts = (counts["true_positives"] + counts["false_positives"]) / days
        frauds = counts["true_positives"] / days
        daily, of_them = wording.rate(alerts), wording.rate(frauds)
        yield f"Of the labelled transactions that is {daily} alerts a day, {of_them} of them frauds."
    yield from _worse((evaluation or {}).get("champion") or {})
    yield f"Kind of training: {KINDS[record.kind]}."


def _worse(compared: Mapping[str, Any]) -> Iterator[str]:
    """The figures in which it is worse than the model before, beyond chance."""
    names = _COMPARED if compared.get("status") == "compared" else ()
    worse = {
        name: compared[name]
        for name in names
        if compared.get(name) and (compared[name]["low"] > 0 if name in _LOW_IS_GOOD else compared[name]["high"] < 0)
    }
    found = [
        f"{_METRICS[name][0]}, {wording.points(each) if _METRICS[name][2] else wording.difference(each)}"
        for name, each in worse.items()
    ]
    if found:
        yield f"Worse than the model before, beyond chance, in {'; in '.join(found)}."


def _ordered(record: ApprovalRecord) -> list[tuple[str, Any]]:
    names = [*(name for name in _METRICS if name in record.metrics), *sorted(set(record.metrics) - set(_METRICS))]
    return [(name, record.metrics[name]) for name in names]


def _figure(name: str, figure: Mapping[str, Any]) -> Figure:
    words, meaning, is_rate = _METRICS.get(name, (name.replace("_", " "), "", False))
    counts = f"{figure['count']:,} of {figure['of']:,}" if figure["of"] is not None else ""
    value = wording.share(figure) if is_rate else wording.decimal(figure)
    return Figure(name=words, meaning=meaning, value=value, counts=counts)


def _parts(evaluation: Mapping[str, Any] | None) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    windows = (evaluation or {}).get("windows") or {}
    ordered = sorted(windows.items(), key=lambda item: str(item[1]["start"]))
    return tuple((_PARTS.get(name, name), part) for name, part in ordered)


def _threshold(record: ApprovalRecord, evaluation: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    yield "alert from a score of", f"{record.threshold:.4g}"
    if evaluation is None:
        return
    yield "chosen for", limits.chosen_for(evaluation)
    expected = evaluation["fit"]["expected"]
    if expected:
        yield (
            f"{_METRICS[expected['figure']][0]} to expect",
            f"{wording.percent(expected['low'])} to {wording.percent(expected['high'])}",
        )
    yield "alert budget", f"{wording.percent(evaluation['alert_budget'])} of the transactions"


def _comparison(compared: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name in _COMPARED if compared.get("status") == "compared" else ():
        each = compared.get(name)
        if each is None:
            continue
        words, _, is_rate = _METRICS[name]
        ours, theirs = (
            wording.percent(each[side]) if is_rate else f"{each[side]:.3f}" for side in ("challenger", "champion")
        )
        yield words, ours, theirs, wording.points(each) if is_rate else wording.difference(each)


def _compared_on(record: ApprovalRecord, compared: Mapping[str, Any]) -> str:
    if record.champion is None:
        return "There was no model to compare it with."
    if not compared:
        return record.champion.reason
    if compared["status"] != "compared":
        return str(compared["reason"])
    return (
        f"Both models scored the same {compared['rows']:,} test rows with {compared['positives']:,} frauds, none of "
        f"which model {number(record.champion.approval)} was trained on."
    )


def _slices(compared: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    for part in compared.get("slices") or ():
        counts, recall = f"{part['positives']:,} of {part['rows']:,}", part["recall"]
        if recall is None:
            yield part["name"], counts, "–", "–", "no frauds"
            continue
        ours, theirs = wording.percent(recall["challenger"]), wording.percent(recall["champion"])
        yield part["name"], counts, ours, theirs, wording.points(recall)


def _calibration(found: Mapping[str, Any] | None) -> Iterator[tuple[str, str, str, str]]:
    if found is None:
        return
    edges: Sequence[float] = [0.0, *found["edges"], 1.0]
    bins = zip(edges, edges[1:], found["rows"], found["frauds"], strict=False)
    for low, high, rows, frauds in bins:
        rate = wording.percent(frauds / rows) if rows else "–"
        yield f"{wording.percent(low)} to {wording.percent(high)}", f"{rows:,}", f"{frauds:,}", rate


def _limits(record: ApprovalRecord, evaluation: Mapping[str, Any] | None) -> Iterator[str]:
    recall = record.metrics.get("recall")
    if recall is not None and recall.of is not None:
        few = f"fewer than {_FEW_FRAUDS}, so the" if recall.of < _FEW_FRAUDS else "the"
        between = f"{wording.percent(recall.low)} and {wording.percent(recall.high)}"
        yield f"The test rows have {recall.of:,} frauds: {few} recall on other rows may be anything between {between}."
    if evaluation is not None:
        if reason := metric_tables.not_compared(evaluation):
            yield reason
        if better := threshold_points.sentence(evaluation):
            yield better
        yield from (str(note) for note in evaluation["fit"]["notes"])
        if record.data.window.end is None and (test := evaluation["windows"].get("test")):
            yield f"It has seen no transaction after {str(test['end'])[:10]}."
    if record.data.window.end is not None:
        yield f"It has seen no transaction after {wording.day(record.data.window.end)}."
    yield (
        "The figures are of the kinds of fraud that the test rows had. New kinds are not in them; the drift check "
        "looks for those."
    )
    yield "Frauds that nobody reported count as legitimate transactions in every figure."


def _picture_text(record: ApprovalRecord, evaluation: Mapping[str, Any] | None) -> str:
    recall, precision = (record.metrics.get(name) for name in ("recall", "precision"))
    figures = ""
    if recall is not None and precision is not None:
        ours = f"recall is {wording.percent(recall.value)} and precision {wording.percent(precision.value)}"
        figures = f" At its threshold, {ours}."
    both = ((evaluation or {}).get("curves") or {}).get("compared") is not None
    rows = "of this model and the model before, on the same test rows," if both else "on the test rows"
    return (
        f"Left: precision and recall {rows} at every threshold. Right: alerts a day against the share of "
        f"the frauds and of their amount that is found.{figures}"
    )
