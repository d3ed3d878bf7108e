"""The figures of a played year: with retraining, with the first model for ever, and with a rule on the amount.

The rule alerts where the first model does and on every amount of at least history's 99 % quantile. The oracle knows
the scenario's rule: it shows what retraining can reach at most with the first model's ranking of the known frauds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.model.model_parts import NEW
from ml.model.scorer import Scorer
from ml.simulate.scenario import Scenario
from tests.benchmarks.in_process import Played
from tests.benchmarks.served_month import ServedMonth

LAST = 4
"""Months that are pooled, at the end of the year: 9 to 12 of twelve."""
RECOVERED, NEXT_DAYS = 0.90, timedelta(days=30)
SIDES = ("with_retraining", "without_retraining", "rule")
ORACLE = "oracle"
_COUNTS = ("frauds", "detected", "first_kind", "first_kind_detected", "legitimate", "false_alarms")
Flags = NDArray[np.bool_]


def figures(played: Played, scenario: Scenario, *, rule_amount: float) -> dict[str, Any]:
    """The figures of a year as plain values."""
    first = played.models[0].model.model.model
    control = {number: _scores(month, first) for number, month in played.months.items()}
    decisions = {
        number: {
            "with_retraining": month.decisions == 1,
            "without_retraining": first.decide(control[number]) == 1,
            "rule": (first.decide(control[number]) == 1) | (month.rows.amounts >= rule_amount),
        }
        for number, month in played.months.items()
    }
    counts = {
        side: [_count(month, decisions[number][side]) for number, month in played.months.items()] for side in SIDES
    }
    last = sorted(played.months)[-LAST:]
    oracle = {
        number: oracle_scores(played.months[number], _known(played.months[number], first), scenario, number)
        for number in last
    }
    onset = _concept_onset(played, scenario)
    later = [moment for moment in played.alarms if onset is not None and moment > onset]
    return {
        **{side: _rates(played, decisions, side) for side in SIDES},
        "counts": counts,
        "equal_false_alarms": _at_equal_false_alarms(
            [played.months[number] for number in last],
            np.concatenate([control[number] for number in last]),
            np.concatenate([oracle[number] for number in last]),
            rule_amount,
        ),
        "early_alarms": sum(1 for moment in played.alarms if onset is None or moment <= onset),
        "days_to_alarm": (later[0] - onset).days if later and onset else None,
        "days_to_recovery": _days_to_recovery(played, onset),
        "has_concept_drift": onset is not None,
        **_after_the_end(played, scenario),
        "no_labels_since": played.no_labels[0].date().isoformat() if played.no_labels else None,
        "no_labels_until": played.no_labels[-1].date().isoformat() if played.no_labels else None,
        "last_check": (played.months[last[-1]].rows.end - timedelta(days=1)).date().isoformat(),
        "requests": [
            {
                "made": each.made.date().isoformat(),
                "cause": each.cause,
                "kind": each.kind,
                "window": [moment.date().isoformat() for moment in each.window],
                "result": each.result,
                "reason": each.reason if each.result != "passed" else "",
                "question": each.question,
            }
            for each in played.requests
        ],
        "parts": [[part.pattern for part in each.model.model.model.document.parts] for each in played.models],
        "suppressed": dict(sorted(played.suppressed.items())),
    }


def pooled(counts: list[Mapping[str, float]]) -> dict[str, float]:
    """The sums of the counts of some months."""
    return {name: sum(each[name] for each in counts) for name in counts[0]}


def rate(part: float, of: float) -> float | None:
    """A share; None of nothing."""
    return part / of if of else None


def _scores(month: ServedMonth, scorer: Scorer) -> NDArray[np.float64]:
    return scorer.score(month.rows.inputs(scorer.inputs))


def _count(month: ServedMonth, alerts: Flags) -> dict[str, float]:
    fraud = month.rows.truth == 1
    own = fraud & ~month.rows.relabelled
    flags = (fraud, fraud & alerts, own, own & alerts, ~fraud, ~fraud & alerts)
    return dict(zip(_COUNTS, (int(np.count_nonzero(each)) for each in flags), strict=True))


def _rates(played: Played, decisions: Mapping[int, Mapping[str, Flags]], side: str) -> dict[str, list[float | None]]:
    """The lists of report.json: one value for each month."""
    found: dict[str, list[float | None]] = {
        name: [] for name in ("recall", "recall_first_kind", "false_positive_rate", "value_detected")
    }
    for number, month in played.months.items():
        alerts = decisions[number][side]
        counts, fraud = _count(month, alerts), month.rows.truth == 1
        found["recall"].append(rate(counts["detected"], counts["frauds"]))
        found["recall_first_kind"].append(rate(counts["first_kind_detected"], counts["first_kind"]))
        found["false_positive_rate"].append(rate(counts["false_alarms"], counts["legitimate"]))
        amounts = month.rows.amounts
        found["value_detected"].append(rate(float(amounts[fraud & alerts].sum()), float(amounts[fraud].sum())))
    return found


def oracle_scores(
    month: ServedMonth, known: NDArray[np.float64], scenario: Scenario, number: int
) -> NDArray[np.float64]:
    """Scores in the order of the probability of fraud, by the first model and the scenario's rule: -log(1 - p).

    p = 1 - (1 - p_known)(1 - p_new), where p_known is that of the log-odds `known`, and p_new the share of
    the row's region that the scenario relabels in month `number`. Which rows of a region it relabels is drawn at
    random, so no model can know more about them.
    """
    with np.errstate(divide="ignore"):  # a region of which every row is relabelled has an infinite score
        return np.logaddexp(0, known) - np.log1p(-_relabelled_share(month, scenario, number))


def _known(month: ServedMonth, first: Scorer) -> NDArray[np.float64]:
    """The log-odds that the first model gives each row, at the rate of history."""
    line = first.document.history
    log_odds: NDArray[np.float64] = first.log_odds(month.rows.inputs(first.inputs))[:, 0]
    return line.slope * log_odds + line.intercept


def _relabelled_share(month: ServedMonth, scenario: Scenario, number: int) -> NDArray[np.float64]:
    """The probability that the scenario relabels each row as a fraud."""
    rows = month.rows
    kept = np.ones(len(rows.truth))
    for drift in scenario.concept_drift:
        if drift.top_share is not None:
            count = max(1, round(drift.top_share * len(kept)))
            inside = rows.amounts >= np.partition(rows.amounts, -count)[-count]
        else:
            inside = np.ones(len(kept), dtype=np.bool_)
            for interval in drift.region or ():
                inside &= interval.contains(rows.transactions[interval.feature].to_numpy())
        kept *= np.where(inside, 1 - drift.flipped_share * drift.course.at(number), 1.0)
    return 1 - kept


def _at_equal_false_alarms(
    months: list[ServedMonth], never: NDArray[np.float64], oracle: NDArray[np.float64], rule_amount: float
) -> dict[str, Any]:
    """Recall of each side and of the oracle over the pooled last months, at the false-positive rate as served.

    Every side's threshold is set anew on these months. The rule has none if its amounts alone alert more.

    Args:
        never: the first model's scores of the rows of `months`.
        oracle: the oracle's.
    """
    truth = np.concatenate([month.rows.truth for month in months]) == 1
    own = truth & ~np.concatenate([month.rows.relabelled for month in months])
    high = np.concatenate([month.rows.amounts for month in months]) >= rule_amount
    served = np.concatenate([month.scores for month in months])
    false_alarms = int(np.concatenate([month.decisions for month in months])[~truth].sum())
    found: dict[str, Any] = {"false_positive_rate": rate(false_alarms, int((~truth).sum()))}
    every = (served, never, np.where(high, np.inf, never), oracle)
    for side, scores in zip((*SIDES, ORACLE), every, strict=True):
        ranked = np.sort(scores[~truth])[::-1]
        limit = ranked[false_alarms] if false_alarms < len(ranked) else -np.inf
        alerts = scores > limit
        alone = np.isinf(limit) and limit > 0
        found[side] = None if alone else {"recall": _share(alerts, truth), "recall_first_kind": _share(alerts, own)}
    return found


def _share(alerts: Flags, of: Flags) -> float | None:
    return rate(int(np.count_nonzero(alerts & of)), int(np.count_nonzero(of)))


def _concept_onset(played: Played, scenario: Scenario) -> datetime | None:
    """The start of the first month with concept drift."""
    for number, month in played.months.items():
        if any(drift.course.at(number) for drift in scenario.concept_drift):
            return month.rows.start
    return None


def _after_the_end(played: Played, scenario: Scenario) -> dict[str, Any]:
    """For a concept that ends within the year: days until the new part is dropped, and false alarms afterwards.

    `days_to_drop` is None if the part stays or there was none; the rate is of all rows from 30 days after the end on.
    """
    last = max((n for n in played.months if any(each.course.at(n) for each in scenario.concept_drift)), default=None)
    if last is None or last + 1 not in played.months:
        return {}
    end = played.months[last + 1].rows.start
    later = (each for each in played.models if each.since > end)
    first = next((each for each in later if NEW not in _patterns(each.model.model.model)), None)
    alerts = legitimate = 0
    for month in played.months.values():
        rows = month.rows
        counted = (rows.truth == 0) & (rows.times >= np.datetime64((end + NEXT_DAYS).replace(tzinfo=None), "us"))
        alerts, legitimate = alerts + int(month.decisions[counted].sum()), legitimate + int(counted.sum())
    return {
        "days_to_drop": (first.since - end).days if first is not None else None,
        "false_positive_rate_after_end": rate(alerts, legitimate),
    }


def _patterns(scorer: Scorer) -> list[str]:
    return [part.pattern for part in scorer.document.parts]


def _days_to_recovery(played: Played, onset: datetime | None) -> int | None:
    """Days from the onset to the first model with a recall of .90 on its next 30 days; None if there is none."""
    for each in played.models[1:]:
        if (
            onset is not None
            and each.since > onset
            and _next_recall(played, each.model.model.model, each.since) >= (RECOVERED)
        ):
            return (each.since - onset).days
    return None


def _next_recall(played: Played, scorer: Scorer, since: datetime) -> float:
    found = frauds = 0
    start, end = (np.datetime64(moment.replace(tzinfo=None), "us") for moment in (since, since + NEXT_DAYS))
    for month in played.months.values():
        fraud = (month.rows.truth == 1) & (month.rows.times >= start) & (month.rows.times < end)
        if fraud.any():
            inputs = month.rows.inputs(scorer.inputs)[fraud]
            found += int(scorer.decide(scorer.score(inputs)).sum())
            frauds += int(np.count_nonzero(fraud))
    return found / frauds if frauds else 0.0
