"""Why the years of a kind miss what is promised: sentences that follow from their results, and from nothing else.

Each sentence has a condition on the figures and states them, so that it disappears when the results change. The bound
on recall follows from the scenario: which transactions become frauds is decided at random, so a model can find all of
them only by alerting the legitimate ones beside them, too. Plays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean

from ml import config
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate.scenario import Scenario
from tests.benchmarks.year_figures import LAST, SIDES
from tests.benchmarks.year_promises import (
    MAX_DAYS_TO_ALARM,
    MAX_FIRST_KIND_LOSS,
    MIN_MEAN_RECALL,
    Year,
    first_kind_loss,
    mean_of,
    oracle_loss,
    recall,
)


def reasons(years: Sequence[Year], scenario: Scenario) -> list[str]:
    """What the results of a kind say about its misses, in sentences."""
    return [*_labels(years), *_budget(years, scenario), *_alarms(years), *_runs(years), *_end(years), *_ranking(years)]


def recall_bound(year: Year, scenario: Scenario, allowed: float) -> float | None:
    """The highest recall of the last months at a false-positive rate of `allowed`; None without concept drift.

    As if every other fraud were found without a false alarm. Where frauds are drawn at random from a region, a share of
    its frauds costs the same share of its legitimate transactions.
    """
    found, frauds = 0.0, 0.0
    counts = year["counts"][SIDES[0]]
    for month in range(len(counts) - LAST + 1, len(counts) + 1):
        own = counts[month - 1]
        flipped = sum(drift.flipped_share * drift.course.at(month) for drift in scenario.concept_drift)
        new = own["frauds"] - own["first_kind"]
        beside = new * (1 - flipped) / flipped if flipped else 0.0
        share = min(1.0, allowed * own["legitimate"] / beside) if beside else 1.0
        found, frauds = found + own["first_kind"] + share * new, frauds + own["frauds"]
    return found / frauds if frauds and scenario.concept_drift else None


def allowed_rate() -> float:
    """The false-positive rate that the committed threshold policy allows; it must be of that policy."""
    rule = config.load_model(SHIPPED).threshold
    if rule.policy != "max_recall_at_fpr":
        raise ValueError(f"the bound on recall needs threshold.policy max_recall_at_fpr (got {rule.policy})")
    return rule.value


def _labels(years: Sequence[Year]) -> Iterator[str]:
    told = [year for year in years if year.get("no_labels_since")]
    unknown = [year for year in told if year["no_labels_until"] == year["last_check"]]
    if unknown:
        first = min(year["no_labels_since"] for year in unknown)
        yield (
            f"No label of passed rows arrives: recall is not known, and each check says so from {first} on "
            f"({_of(unknown, years)}). What alerts reveal is not taken for the whole, so nothing is retrained."
        )
    elif told:
        yield f"Labels arrive late: checks say that recall is not known, at times ({_of(told, years)})."


def _budget(years: Sequence[Year], scenario: Scenario) -> Iterator[str]:
    allowed = allowed_rate()
    bounds = [bound for year in years if (bound := recall_bound(year, scenario, allowed)) is not None]
    if bounds and mean(bounds) < 1:
        yield (
            f"The alert budget: the new frauds are drawn at random from a region, and its other transactions are more "
            f"than the {100 * allowed:g} % of false alarms that the policy allows. No ranking finds more than "
            f"{mean(bounds):.2f} of all frauds."
        )
    asked = [year for year in years if any(each.get("question") for each in year["requests"])]
    if asked:
        runs = sum(1 for year in asked for each in year["requests"] if each.get("question"))
        yield f"A person is asked to decide about the budget, by {runs} run{'s' * (runs != 1)} ({_of(asked, years)})."


def _alarms(years: Sequence[Year]) -> Iterator[str]:
    drifted = [year for year in years if year["has_concept_drift"]]
    days = [year["days_to_alarm"] for year in drifted if year["days_to_alarm"] is not None]
    late = [day for day in days if day > MAX_DAYS_TO_ALARM]
    if late:
        yield f"The alarm comes after {_span(late)} days in {len(late)} of {len(years)} years."
    silent = len(drifted) - len(days)
    if silent:
        yield f"No alarm at all in {silent} of {len(years)} years."


def _runs(years: Sequence[Year]) -> Iterator[str]:
    requests = [each for year in years for each in year["requests"]]
    failed = [each for each in requests if each["result"] != "passed"]
    if not failed:
        return
    counts: dict[str, int] = {}
    for each in failed:
        what = each["reason"].split(". ")[0].split(": ")[0].split(";")[0]
        counts[what] = counts.get(what, 0) + 1
    most = max(sorted(counts), key=lambda name: counts[name])
    yield f"{len(failed)} of {len(requests)} runs give no model; {counts[most]} of them end with: {most}."


def _end(years: Sequence[Year]) -> Iterator[str]:
    ended = [year for year in years if year.get("days_to_drop", ...) is not ...]
    days = [year["days_to_drop"] for year in ended if year["days_to_drop"] is not None]
    if days:
        yield f"The part for the pattern that ended is dropped after {_span(days)} days."
    kept = len(ended) - len(days)
    if kept:
        yield f"The part for the pattern that ended is not dropped in {kept} of {len(years)} years."


def _ranking(years: Sequence[Year]) -> Iterator[str]:
    losses = [loss for year in years if (loss := first_kind_loss(year)) is not None]
    if losses and mean(losses) > MAX_FIRST_KIND_LOSS:
        yield (
            f"At equal false alarms {mean(losses):.3f} of the frauds of the first kind are lost on average: alerts on "
            f"new frauds take the place of theirs."
        )
        least = mean_of([oracle_loss(year) for year in years])
        if least is not None:
            yield f"The oracle, which knows the scenario's rule, loses {least:.3f}."
    if any(counts["frauds"] > counts["first_kind"] for year in years for counts in year["counts"][SIDES[0]][-LAST:]):
        return
    never = mean_of([recall(year, SIDES[1]) for year in years])
    if never is not None and never < MIN_MEAN_RECALL:
        yield f"There are no new frauds in the last months, and the first model, never retrained, finds {never:.3f}."


def _of(some: Sequence[Year], years: Sequence[Year]) -> str:
    return f"{len(some)} of {len(years)} years"


def _span(days: Sequence[int]) -> str:
    return f"{min(days)}" if min(days) == max(days) else f"{min(days)} to {max(days)}"
