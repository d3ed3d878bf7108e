"""Formats evaluation.json as Markdown tables: metrics with intervals and counts, champion comparison, alerts.

A missing figure is shown with its reason. Computes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml import config
from ml.errors import ConfigError
from ml.gitops import commit_messages, daily_rates
from ml.gitops.markdown_escaping import code, details, table, text
from ml.gitops.percent import percent, setting

CONFIDENCE = 0.95  # of the intervals in evaluation.json (ml.model.metrics)

# name in evaluation.json → label, unit of its counts, whether it is shown in percent
_FIGURES = {
    "recall": ("recall", "frauds", False),
    "precision": ("precision", "alerts", False),
    "false_positive_rate": ("false-positive rate", "legitimate rows", True),
    "average_precision": ("average precision", "", False),
    "roc_auc": ("ROC AUC", "", False),
    "recall_at_alert_budget": ("recall at the alert budget", "frauds", False),
    "alert_rate": ("alert rate", "rows", True),
}
_COMPARED = {
    "recall": "recall",
    "precision": "precision",
    "false_positive_rate": "false-positive rate",
    "average_precision": "average precision",
}
CAUSES = ("few frauds", "missing inputs")  # of a comparison that is not possible (ml.model.champion_comparison)
_POLICIES = {
    "max_recall_at_fpr": "maximum recall with alerts on at most {} of the legitimate {} rows",
    "alert_budget": "alerts on at most {} of the {} rows",
    "min_cost": "the least cost on the {1} rows, at {0} for an alert",
    "fixed": "the score {} itself",
}
_EXPECTED = {
    "false_positive_rate": ("false-positive rate to expect", "legitimate"),
    "alert_rate": ("alert rate to expect", ""),
}


@dataclass(frozen=True, kw_only=True)
class ScoreBand:
    """Held-out rows with a score from `low` on and below `high`, and the frauds among them; None is no limit."""

    low: float | None
    high: float | None
    rows: int
    frauds: int


def share(figure: Mapping[str, Any]) -> str:
    """A rate in percent with its interval, e.g. `95.1 % (91.7 % to 97.2 %)`."""
    if figure.get("value") is None:
        return f"an unknown share ({text(figure.get('reason') or 'not measured')})"
    shown = percent(figure["value"])
    if None in (figure.get("low"), figure.get("high")):
        return shown
    return f"{shown} ({percent(figure['low'])} to {percent(figure['high'])})"


def metrics(evaluation: Mapping[str, Any]) -> str:
    """Every figure with its interval and counts. Figures that this version does not know come last, by name."""
    measured = evaluation["metrics"]
    rows = []
    for name in [*(name for name in _FIGURES if name in measured), *sorted(set(measured) - set(_FIGURES))]:
        label, unit, in_percent = _FIGURES.get(name, (name, "", False))
        figure = measured[name]
        write = percent if in_percent else _decimals
        if figure["value"] is None:
            rows.append((text(label), "–", text(figure.get("reason") or "not measured"), ""))
            continue
        interval = f"{write(figure['low'])} to {write(figure['high'])}" if figure.get("low") is not None else "–"
        counts = f"{figure['count']:,} of {figure['of']:,} {unit}".rstrip() if figure.get("of") is not None else ""
        rows.append((text(label), write(figure["value"]), interval, counts))
    return table(("figure", "value", f"{CONFIDENCE:.0%} interval".replace("%", " %"), "counts"), rows, numbers=(1,))


def not_compared(evaluation: Mapping[str, Any]) -> str:
    """Why the model was not compared with the champion; '' if it was, or if there is none."""
    compared = evaluation.get("champion") or {}
    return str(compared["reason"]) if compared.get("status") == "not possible" else ""


def cannot_tell(evaluation: Mapping[str, Any]) -> bool:
    """Whether no number of frauds makes a comparison possible: the data no longer have the inputs of the champion.

    An evaluation of an earlier version has no cause, and reads as its verdict.

    Raises:
        ConfigError: the cause is none that this version knows.
    """
    cause = (evaluation.get("champion") or {}).get("cause")
    if cause not in (None, *CAUSES):
        raise ConfigError(f"evaluation.json: champion.cause must be {' or '.join(CAUSES)} (got {cause!r})")
    return cause == "missing inputs"


def champion(record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> str:
    """Challenger and champion on the same rows, or the reason why they could not be compared."""
    compared = evaluation["champion"]
    if compared["status"] != "compared":
        return text(compared["reason"])
    rows = [
        (words, *(_compared_rate if name == "false_positive_rate" else _compared)(compared[name]))
        for name, words in _COMPARED.items()
        if compared.get(name) is not None
    ]
    digest = f"sha256:{compared['artifact_sha256']}"
    named = f"approval {commit_messages.number(record.champion.approval)}" if record.champion else "the champion"
    return "\n\n".join(
        [
            f"Both scored the same {compared['rows']:,} test rows with {compared['positives']:,} frauds, none of which "
            f"the champion was trained on. The champion is {named}, {code(digest)}.",
            table(("figure", "this model", "champion", "difference", "interval"), rows, numbers=(1, 2, 3)),
            *_slices(evaluation),
        ]
    )


def _compared(each: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return (
        _decimals(each["challenger"]),
        _decimals(each["champion"]),
        f"{each['difference']:+.3f}",
        f"{each['low']:+.3f} to {each['high']:+.3f}",
    )


def _compared_rate(each: Mapping[str, Any]) -> tuple[str, str, str, str]:
    difference, low, high = (f"{100 * each[part]:+.2f}" for part in ("difference", "low", "high"))
    return percent(each["challenger"]), percent(each["champion"]), f"{difference} points", f"{low} to {high}"


def _slices(evaluation: Mapping[str, Any]) -> list[str]:
    """A table of recall and alerts by kind of rows, with what the gate concluded of each."""
    outcomes = {check["name"]: check.get("outcome") for check in evaluation["verdict"]["checks"]}
    rows = []
    for part in evaluation["champion"].get("slices", ()):
        counts = (text(part["name"]), f"{part['rows']:,}", f"{part['positives']:,}")
        raised = [_slice_alerts(part, model) for model in ("challenger", "champion")]
        if part["recall"] is None:
            rows.append((*counts, "–", "–", "–", *raised, "no frauds"))
            continue
        outcome = outcomes.get(f"champion_recall_{part['name']}") or "–"
        ours, theirs, difference, interval = _compared(part["recall"])
        rows.append((*counts, ours, theirs, f"{difference} ({interval})", *raised, text(outcome)))
    if not rows:
        return []
    head = (
        *("recall by kind", "rows", "frauds", "this model", "champion", "difference"),
        *("alerts", "alerts of champion", "it shows"),
    )
    return [
        "The intervals by kind are wider, so that all of them together are as certain as one.",
        table(head, rows, numbers=(1, 2, 3, 4, 6, 7)),
    ]


def _slice_alerts(part: Mapping[str, Any], model: str) -> str:
    """The alerts of a model among the rows of a slice: frauds found and false alarms, from its two rates."""
    recall, wrong, legitimate = part["recall"], part["false_positive_rate"], part["rows"] - part["positives"]
    if (recall is None and part["positives"]) or (wrong is None and legitimate):
        return "–"
    found = recall[model] * part["positives"] if recall is not None else 0.0
    return f"{round(found + (wrong[model] * legitimate if wrong is not None else 0.0)):,}"


def score_bands(bands: Sequence[ScoreBand], evaluation: Mapping[str, Any]) -> str:
    """A folded table of held-out rows by score, with their share of frauds; the band of the threshold is named.

    One band, which a reference with few frauds has, says nothing and gives ''.
    """
    if len(bands) < 2:
        return ""
    threshold = evaluation["threshold"]["score"]
    every = sum(band.rows for band in bands)
    rows = []
    for band in bands:
        low, high = (None if limit is None else f"{limit:.3g}" for limit in (band.low, band.high))
        name = f"{low} to {high}" if low and high else f"{low} or more" if low else f"below {high}" if high else "any"
        inside = (band.low is None or band.low <= threshold) and (band.high is None or threshold < band.high)
        count = f"{band.rows:,} ({percent(band.rows / every)})" if every else f"{band.rows:,}"
        frauds = percent(band.frauds / band.rows) if band.rows else "–"
        rows.append((f"{name}{', with the threshold' if inside else ''}", count, f"{band.frauds:,}", frauds))
    head = ("score", "held-out rows", "frauds", "share of frauds")
    return details("Scores and calibration on held-out rows", table(head, rows, numbers=(1, 2, 3)))


def alerts(evaluation: Mapping[str, Any]) -> str:
    """The threshold, its policy, and the resulting number of alerts."""
    threshold, counts = evaluation["threshold"], evaluation["confusion"]
    raised = counts["true_positives"] + counts["false_positives"]
    value = threshold["value"]
    policy, expected = _POLICIES.get(threshold["policy"]), evaluation["fit"]["expected"]
    if policy is None:
        words = text(threshold["policy"])
    else:
        number = f"{value:g}" if threshold["policy"] in ("fixed", "min_cost") else setting(value)
        words = policy.format(number, expected["source"] if expected else "validation")
    rows = [
        ("alerts at a score of", f"{threshold['score']:.6g}"),
        ("chosen by", f"{code(threshold['policy'])}: {words}"),
        *([_expected(expected)] if expected else []),
        ("alerts among the test rows", f"{raised:,}, of which {counts['true_positives']:,} are frauds"),
        (
            "alerts a day",
            daily_rates.unknown(evaluation)
            or f"{daily_rates.rate(raised, evaluation)}, of which "
            f"{daily_rates.rate(counts['true_positives'], evaluation)} are frauds{_traffic(evaluation)}",
        ),
        ("alert budget", f"{setting(evaluation['alert_budget'])} of the transactions"),
    ]
    notes = [text(note) for note in evaluation["fit"]["notes"]]
    return "\n\n".join([table(("threshold", "value"), rows), *notes])


def _traffic(evaluation: Mapping[str, Any]) -> str:
    """The transactions of a day that the alerts are of; '' if they are not known."""
    found, left_out = daily_rates.transactions_per_day(evaluation), daily_rates.unlabelled(evaluation)
    if found is None:
        return ""
    if not left_out:
        return f", of {found:,.0f} transactions a day"
    return f", of {found:,.0f} labelled transactions a day; {left_out:,} of the window without a label are not counted"


def _expected(expected: Mapping[str, Any]) -> tuple[str, str]:
    """The rate that later rows may show, from the rows that the threshold was chosen on."""
    name, kind = _EXPECTED[expected["figure"]]
    rows = " ".join(filter(None, [f"{expected['of']:,}", kind, expected["source"], "rows"]))
    spread = (
        f"; counts vary {expected['dispersion']:.1f} times as much as by chance between {expected['blocks']} blocks of "
        f"time"
        if expected["dispersion"] > 1
        else ""
    )
    interval = f"{percent(expected['low'])} to {percent(expected['high'])}"
    return name, f"{interval} ({expected['count']:,} of {rows} reach the threshold{spread})"


def question(evaluation: Mapping[str, Any]) -> list[str]:
    """What a person must decide because the alert budget no longer suffices, as paragraphs; none if it does."""
    shortfall = (evaluation.get("budget") or {}).get("shortfall")
    return [f"**{text(shortfall)}**", ""] if shortfall else []


def budget(evaluation: Mapping[str, Any]) -> str:
    """What other alert budgets would alert, find and miss on the test rows; first, whether a person must decide."""
    found = evaluation["budget"]
    days = daily_rates.days(evaluation) or 0.0

    def row(each: Mapping[str, Any]) -> tuple[str, str, str, str, str, str]:
        caught = percent(each["value_recall"]) if each["value_recall"] is not None else "–"
        wrong = percent(each["false_positive_rate"]) if each["false_positive_rate"] is not None else "–"
        raised = f"{each['alerts'] / days:,.1f}" if days > 0 else f"{each['alerts']:,} in all"
        lost = each["value_missed"]  # can be a rounding error below 0, which would be shown as -0
        missed = f"{max(lost, 0.0) / (days if days > 0 else 1):,.0f}" if lost is not None else "–"
        return setting(each["alert_share"]), raised, share(each["recall"]), wrong, caught, missed

    head = (
        "alerts on at most",
        "alerts a day",
        "recall",
        "false-positive rate",
        "amount found",
        "amount missed a day" if days > 0 else "amount missed",
    )
    opening = question(evaluation)[:1]
    shown = [*found["options"], *([found["needed"]] if opening and found["needed"] else [])]
    rows = [row(each) for each in sorted(shown, key=lambda each: float(each["alert_share"]))]
    rates_of = ["Alerts a day are of labelled transactions."] if days > 0 else []
    return "\n\n".join([*opening, table(head, rows, numbers=(1, 3, 4, 5)), *rates_of])


_NOTHING_FITTED: Mapping[config.RunKind, str] = {
    "threshold": "**Same coefficients, new threshold.**",
    "drop": "**The part for new patterns is dropped: its frauds have stopped. The part for known patterns is as it was "
    "first fitted, to the last bit, with a new threshold.**",
}


def threshold_change(evaluation: Mapping[str, Any]) -> str:
    """The champion's threshold and the new one on the same test rows: score, alerts a day, recall, false positives."""
    change = evaluation["threshold_change"]
    before, after = change["champion"], change["new"]

    def row(label: str, write: Callable[[Mapping[str, Any]], str]) -> tuple[str, str, str]:
        return label, write(after), write(before)

    rows = [
        row("alerts at a score of", lambda each: f"{each['score']:.6g}"),
        row("alerts a day", lambda each: daily_rates.rate(each["alerts"], evaluation)),
        row("recall", lambda each: share(each["recall"])),
        row("false-positive rate", lambda each: share(each["false_positive_rate"])),
    ]
    return "\n\n".join(
        [
            _NOTHING_FITTED[evaluation["kind"]],
            table(("on the test rows", "new", "champion's"), rows, numbers=(1, 2)),
        ]
    )


def _decimals(value: float) -> str:
    return f"{value:.3f}"
