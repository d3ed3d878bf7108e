"""The kinds of simulated years of `make years`: scenarios of the project, and variants that differ in a few fields.

A scenario says what happens, never how the system responds. Seeds 20 to 29 measure; no setting is chosen by them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ml.simulate import scenario
from ml.simulate.scenario import Scenario

SEEDS = tuple(range(20, 30))
DEFAULT = "default"
_CONCEPT_FROM = 7


@dataclass(frozen=True)
class Kind:
    """One kind of year. `promised` tells whether the figures that the project promises are compared with it."""

    name: str
    about: str
    make: Callable[[], Scenario]
    promised: bool = False


def _changed(name: str, **fields: Any) -> Callable[[], Scenario]:
    return lambda: Scenario.model_validate(scenario.load(name).model_dump() | fields)


def _top(share: float, flipped: float) -> Callable[[], Scenario]:
    """The default with another part of the amounts relabelled."""
    course = {"kind": "sudden", "from_month": _CONCEPT_FROM}
    return _changed("both", concept_drift=[{"course": course, "top_share": share, "flipped_share": flipped}])


def _alert_only() -> Scenario:
    labels = scenario.load("both").model_dump()["labels"]
    analysts = {"typical_delay_days": 2.0, "longest_delay_days": 10}
    return _changed("both", labels=labels | {"chargebacks": False, "analysts": analysts})()


def _concept(**course: Any) -> list[dict[str, Any]]:
    return [{"course": course, "top_share": 0.01, "flipped_share": 0.5}]


_SHARES = ((0.005, 0.5), (0.02, 0.5), (0.05, 0.5), (0.005, 0.2), (0.01, 0.2), (0.02, 0.2), (0.05, 0.2))
KINDS = {
    kind.name: kind
    for kind in (
        Kind(DEFAULT, "means grow from month 4; half of the top 1 % of amounts from month 7", _top(0.01, 0.5), True),
        *(
            Kind(
                f"{'half' if flipped == 0.5 else 'fifth'} of top {100 * share:g} %",
                f"the default with {flipped:.0%} of the top {100 * share:g} % of amounts",
                _top(share, flipped),
            )
            for share, flipped in _SHARES
        ),
        Kind("region", "half of a corner of V4 and V14, about 1 % of the rows, from month 7", _changed("region")),
        Kind("gradual", "both drifts grow over four months, from months 4 and 7", _changed("gradual")),
        Kind(
            "sudden",
            "all means jump by 0.5 standard deviations in month 4; half of the top 1 % of amounts from month 7",
            _changed("sudden", concept_drift=_concept(kind="sudden", from_month=_CONCEPT_FROM)),
        ),
        Kind(
            "recurring",
            "half of the top 1 % of amounts in months 5 to 8 alone: the old concept comes back in month 9",
            _changed("concept-only", concept_drift=_concept(kind="sudden", from_month=5, until_month=8)),
        ),
        Kind(
            "seasonal",
            "the default with 1.5 times the volume in December and half of it in June",
            _changed("both", volume={"seasonal_swing": 0.5, "peak_month": 12}),
        ),
        Kind("label delay", "the default with labels that take up to 90 days", _changed("label-delay")),
        Kind("alert-only labels", "the default without chargebacks: analysts label alerts alone", _alert_only),
        Kind("data only", "means grow from month 4; no label changes its meaning", _changed("data-only")),
        Kind("none", "nothing drifts", _changed("none")),
    )
}
"""By name, in the order of the page."""
