"""Says in words what a drift check found: one sentence for the window, one line per finding. Decides nothing.

Report, step summary, annotation and retrain request use the same words. Plain text: the caller escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.model.drift.verdict import CONCEPT, IMMATURE, KINDS, NO_DATA, DriftVerdict, FeatureDrift, Finding
from ml.report.judged_rows import JudgedRows

_RATES = ("recall", "precision", "false_positive_rate", "alert_rate")
_NAMES = {"false_positive_rate": "false-positive rate"}
_BAND = re.compile(r"(?P<low>\S+) <= amount < (?P<high>\S+)")
_SMALL_P = 0.001
_NEARLY_ALL = 0.9
"""From this share of judged rows on, the sentence is about the window; below it, about the rows."""
_MAX_NAMES = 3
_ALMOST, _ROUNDS_TO_ALL = 0.99, 0.9995
NO_ESTIMATE = (
    "An estimate without labels would say the same whatever happens, because no fraud of the model's held-out rows "
    "scored below the threshold."
)
"""Why `estimate` is None."""
STATISTICS = {
    "ks": "Kolmogorov-Smirnov distance",
    "psi": "population stability index",
    "js": "Jensen-Shannon distance",
    "chi_square": "effect size w (Cohen's; 0 is no change)",
}
"""The statistics of a distribution as they are named in sentences."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """All findings of one kind about one subject, in words, with the statistics behind it."""

    kind: str
    words: str
    findings: tuple[Finding, ...]


def headline(verdict: DriftVerdict, judged: JudgedRows | None = None) -> str:
    """What happened in the window, with the figure that matters most; without a full stop.

    Example: `In April 2026 recall fell from 0.84 to 0.17; 84 of 145 transactions between 107 and 221 are frauds, 6.2 %
    in the drift reference`.

    Args:
        judged: the rows that the check judges, if other models scored a part of the window.
    """
    if judged is None or NO_DATA in verdict.verdicts:
        return _whole(verdict)
    if judged.share >= _NEARLY_ALL:
        return f"{_whole(verdict)}; other models scored {judged.others:,} of {judged.all_rows:,} transactions"
    return _partial(verdict, judged)


def _whole(verdict: DriftVerdict) -> str:
    when = _capital(period(verdict.start, verdict.end))
    found = [kind for kind in KINDS if verdict.fired(kind)]
    if not found and NO_DATA in verdict.verdicts:
        return f"{when} drift could not be tested: {'; '.join(_traffic_reasons(verdict))}"
    if not found:
        return _quiet(verdict, when)
    return f"{when} {'; '.join(of_kind(verdict, kind) for kind in _said(found))}"


def _said(found: Sequence[str]) -> Sequence[str]:
    """Scores and alerts follow from inputs; the relation between scores and fraud says more than both."""
    return [kind for kind in (CONCEPT, "schema", "data") if kind in found] or found


def _partial(verdict: DriftVerdict, judged: JudgedRows) -> str:
    """The sentence on a window of which other models scored a part: which rows are judged comes first."""
    when = f" {judged.when}" if judged.when else ""
    rows = (
        f"Only {judged.rows:,} of {judged.all_rows:,} transactions {period(verdict.start, verdict.end)} are judged, "
        f"those that {judged.model} scored{when}"
    )
    inputs = [of_kind(verdict, kind) for kind in ("schema", "data") if verdict.fired(kind)]
    if verdict.fired(CONCEPT):
        what = of_kind(verdict, CONCEPT)
    elif IMMATURE in verdict.verdicts:
        what = "concept drift is not tested yet, because their labels are not mature"
    elif verdict.fired("prediction") and not inputs:
        what = of_kind(verdict, "prediction")
    else:
        recall = _recall(verdict)
        what = f"no concept drift was found in them{f' ({recall})' if recall else ''}"
    rest = f"other models scored the remaining {judged.others:,}, of which only the inputs are tested"
    return ": ".join([rows, f"{what}; {rest}", *(["; ".join(inputs)] if inputs else [])])


def against(document: Mapping[str, Any]) -> str:
    """The drift reference of a stored check: of which model, and of which days. Earlier versions stored no days."""
    model = document["model"]
    days = model.get("reference")
    data = f" (data of {days['start'][:10]} to {days['end'][:10]})" if days else ""
    return f"the drift reference of model {model['approval']:04d}{data}"


def overlap(document: Mapping[str, Any], verdict: DriftVerdict) -> str:
    """That days of the window are part of the reference, as a sentence; '' if none is, or if it is not known."""
    days = document["model"].get("reference")
    if not days or not verdict.rows:
        return ""
    start, end = (datetime.fromisoformat(days[side]) for side in ("start", "end"))
    start, end = (each if each.tzinfo is not None else each.replace(tzinfo=UTC) for each in (start, end))
    if start >= verdict.end or end < verdict.start:
        return ""
    return "Days of this window are part of that reference, so their distribution is not measured as drift from it."


def of_kind(verdict: DriftVerdict, kind: str) -> str:
    """What fired of one kind, as a clause without a period of time; it must have fired."""
    fired = verdict.fired(kind)
    if kind == CONCEPT:
        return _concept(fired)
    if kind == "schema":
        return _schema(fired)
    return _inputs(verdict) if kind == "data" else _prediction(verdict, fired)


def lines(verdict: DriftVerdict) -> tuple[Line, ...]:
    """One line per kind and subject of the findings that fired, the strongest cause first."""
    shown = []
    for kind in KINDS:
        groups: dict[str, list[Finding]] = {}
        for finding in verdict.fired(kind):
            groups.setdefault(finding.subject or finding.statistic, []).append(finding)
        shown += [
            Line(kind=kind, words=_line(verdict, kind, group), findings=tuple(group)) for group in groups.values()
        ]
    return tuple(shown)


def period(start: datetime, end: datetime) -> str:
    """A window in words: `in April 2026` for a calendar month, `on` a day, otherwise `from` … `to` its last day."""
    whole = all(not (at.hour or at.minute or at.second) for at in (start, end))
    if not whole:
        return f"from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    if start.day == 1 and (start + timedelta(days=31)).replace(day=1) == end:
        return f"in {start:%B %Y}"
    last = end - timedelta(days=1)
    return f"on {start:%Y-%m-%d}" if last <= start else f"from {start:%Y-%m-%d} to {last:%Y-%m-%d}"


def p_value(value: float | None) -> str:
    """A p-value for people: `< 0.001` or two significant digits; a dash for None."""
    if value is None:
        return "–"
    return f"< {_SMALL_P:g}" if value < _SMALL_P else f"{value:.2g}"


def p_equals(value: float) -> str:
    """A p-value in a sentence: `p < 0.001` or `p = 0.02`."""
    return f"p {p_value(value)}" if value < _SMALL_P else f"p = {p_value(value)}"


def estimate(recall: Sequence[float]) -> str | None:
    """Recall that was estimated without labels, in percent with its interval; None if it cannot be told.

    The digits are those that the distance to 100 % needs, at most three, e.g. `99.96 % (99.88 to 99.99 %)`. The
    bootstrap is over frauds that were passed: where the held-out rows have none, both ends are equal and tell nothing.

    Args:
        recall: the estimate and the ends of its interval, as shares.
    """
    value, low, high = recall
    if low == high:
        return None
    apart = {value, low, high, 1.0}
    digits = next((each for each in (1, 2) if len({f"{100 * one:.{each}f}" for one in apart}) == len(apart)), 3)
    shown = [f"{100 * each:.{digits}f}".replace(f"100.{'0' * digits}", "100") for each in (value, low, high)]
    return f"{shown[0]} % ({shown[1]} to {shown[2]} %)"


def amounts(band: str) -> str:
    """An amount band in words, from its name: `between 107 and 221`, `below 5.6`, `of 1017.97 or more`."""
    middle = _BAND.fullmatch(band)
    if middle:
        return f"between {_short(middle['low'])} and {_short(middle['high'])}"
    for sign, words in (("amount < ", "below {}"), ("amount >= ", "of {} or more")):
        if band.startswith(sign):
            return words.format(_short(band.removeprefix(sign)))
    return f"of {band}"


def _value(statistic: str, value: float | None) -> str:
    """Recall and precision with two decimals, rare rates as a percentage; a dash for None."""
    if value is None:
        return "–"
    return f"{value:.2f}" if statistic in ("recall", "precision") else percent(value)


def percent(share: float | None) -> str:
    """A share as a percentage with two significant digits, more from 99 % on: only all is `100 %`. A dash for None."""
    if share is None:
        return "–"
    if _ALMOST <= share < 1:
        return f"{100 * share:.1f} %" if share < _ROUNDS_TO_ALL else "more than 99.9 %"
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.2g} %"


def _concept(fired: Sequence[Finding]) -> str:
    rates = [finding for finding in fired if finding.subject is None]
    bands = [finding for finding in fired if finding.subject is not None]
    parts = []
    if rates:
        parts.append(_change(min(rates, key=lambda finding: (_RATES.index(finding.statistic), finding.windows))))
    if bands:
        strongest = min(bands, key=lambda finding: (finding.windows, *_band_key(finding)))
        parts.append(f"{_band(strongest)}{_pooled(strongest)}")
    return "; ".join(parts)


def _band_key(finding: Finding) -> tuple[float, float]:
    """The strongest evidence first; among equal p-values, which underflow, the largest growth of the share."""
    before, now = finding.reference or 0.0, finding.value or 0.0
    return finding.p_value or 0.0, -(now / before) if before else -float("inf")


def _band(finding: Finding) -> str:
    counts = re.match(r"(?P<count>[\d,]+) frauds of (?P<of>[\d,]+) rows", finding.detail)
    share = f"{counts['count']} of {counts['of']}" if counts else f"{percent(finding.value)} of"
    before = percent(finding.reference)
    return f"{share} transactions {amounts(finding.subject or '')} are frauds, {before} in the drift reference"


def _change(finding: Finding) -> str:
    name = _NAMES.get(finding.statistic, finding.statistic.replace("_", " "))
    verb = "fell" if (finding.value or 0.0) < (finding.reference or 0.0) else "rose"
    before, now = (_value(finding.statistic, each) for each in (finding.reference, finding.value))
    return f"{name} {verb} from {before} to {now}{_pooled(finding)}"


def _pooled(finding: Finding) -> str:
    return f" over {finding.windows} windows" if finding.windows > 1 else ""


def _schema(fired: Sequence[Finding]) -> str:
    first = max(fired, key=lambda finding: finding.value or 0.0)
    more = f", and {len(fired) - 1} more" if len(fired) > 1 else ""
    return f"fields break the schema, {_field(first)}{more}"


def _field(finding: Finding) -> str:
    return f"{finding.subject}: {finding.detail}"


def _inputs(verdict: DriftVerdict) -> str:
    moved = sorted((f for f in verdict.features if f.fired), key=lambda feature: -feature.js)
    first = _movement(moved[0], verdict.fired("data"))
    if len(moved) > 1:
        names = ", ".join(feature.name for feature in moved[:_MAX_NAMES])
        rest = f" and {len(moved) - _MAX_NAMES} more" if len(moved) > _MAX_NAMES else ""
        first = f"{len(moved)} of {len(verdict.features)} inputs shifted: {names}{rest} ({first})"
    return first


def _movement(feature: FeatureDrift, fired: Sequence[Finding]) -> str:
    """How one input has moved, by the statistic that fired, and its limit: the mean, otherwise the largest."""
    own = [finding for finding in fired if finding.subject == feature.name and finding.value is not None]
    if not own:
        return f"the distribution of {feature.name} changed"
    mean = next((finding for finding in own if finding.statistic == "mean_shift"), None)
    if mean is not None:
        verb = "rose" if feature.mean_shift > 0 else "fell"
        shift = f"{abs(feature.mean_shift):.2f} standard deviations, limit {mean.threshold:g}"
        return f"the mean of {feature.name} {verb} by {shift}"
    most = max(own, key=lambda finding: abs(finding.value or 0.0) / finding.threshold)
    name = STATISTICS.get(most.statistic, most.statistic.replace("_", " "))
    return f"the {name} of {feature.name} is {most.value:.2g}, limit {most.threshold:g}"


def _prediction(verdict: DriftVerdict, fired: Sequence[Finding]) -> str:
    alert = next((finding for finding in fired if finding.statistic == "alert_rate"), None)
    if alert is not None:
        return _change(alert)
    assert verdict.scores is not None  # noqa: S101 - a finding about scores is made from them
    return f"the scores shifted ({_movement(verdict.scores, fired)})"


def _quiet(verdict: DriftVerdict, when: str) -> str:
    tested = f"{when} no test of the whole window found drift: {verdict.rows:,} transactions were tested"
    recall = _recall(verdict)
    if recall:
        return f"{tested}; {recall}"
    if IMMATURE in verdict.verdicts:
        return f"{tested}; concept drift cannot be tested before labels are mature"
    return tested


def _recall(verdict: DriftVerdict) -> str:
    """Recall on mature labels, now and in the drift reference; empty if it was not tested."""
    recall = next(
        (f for f in verdict.findings if f.kind == CONCEPT and f.statistic == "recall" and f.windows == 1), None
    )
    if recall is None or recall.value is None:
        return ""
    return f"recall is {recall.value:.2f}, {recall.reference or 0.0:.2f} in the drift reference"


def _traffic_reasons(verdict: DriftVerdict) -> list[str]:
    return [finding.detail for finding in verdict.findings if finding.kind == NO_DATA and finding.fired]


def _line(verdict: DriftVerdict, kind: str, group: Sequence[Finding]) -> str:
    first = min(group, key=lambda finding: finding.windows)
    if kind == CONCEPT:
        return _capital(f"{_band(first)}{_pooled(first)}" if first.subject is not None else _change(first))
    if kind == "schema":
        return "; ".join(_field(finding) for finding in group)
    if first.statistic == "alert_rate":
        return _capital(_change(first))
    known = [verdict.scores] if kind == "prediction" else verdict.features
    feature = next(each for each in known if each is not None and each.name == first.subject)
    return _capital(_movement(feature, group))


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _short(number: str) -> str:
    """An amount without meaningless digits: `107.13` as 107, `5.6` as it is."""
    value = float(number)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
