"""Says whether an approved model is within other limits of the gate, on the figures of its record.

The gate itself (ml.model.gate) needs packages that `fraudops plan` does without, and decides whether there are rows
enough to compare an interval. Where that matters, both answers are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml import config
from ml.errors import ConfigError
from ml.model import gate_check


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whether the model is within the limits, and each figure beside its limit, in plain text.

    `depends` is a rate within its limit whose interval is not: then the number of rows decides.
    """

    status: Literal["within", "not within", "depends"]
    figures: tuple[str, ...]


def judge(limits: config.GateFile, record: config.ApprovalRecord) -> Judgement:
    """How the figures of `record` compare with `limits`.

    Raises:
        ConfigError: the record lacks recall, the false-positive rate, or the number of frauds.
    """
    recall, wrong = record.metrics.get("recall"), record.metrics.get("false_positive_rate")
    if recall is None or wrong is None or recall.of is None:
        path = config.approval_path(record.approval)
        raise ConfigError(f"{path}: metrics must have recall, with its number of frauds, and false_positive_rate")
    rates = (recall.value > limits.min_recall, wrong.value <= limits.max_false_positive_rate)
    ends = (recall.low > limits.min_recall, wrong.high <= limits.max_false_positive_rate)
    enough = recall.of >= limits.min_positives
    within: Literal["within", "not within", "depends"] = "within" if enough and all(rates) else "not within"
    if within == "within" and limits.decides == "bound" and not all(ends):
        within = "depends"
    return Judgement(
        status=within,
        figures=(
            f"recall {_figure(recall, recall.low, limits.min_recall)}",
            f"false-positive rate {_figure(wrong, wrong.high, limits.max_false_positive_rate, percent=True)}",
            f"{recall.of:,} frauds, at least {limits.min_positives:,} asked",
        ),
    )


def _figure(rate: config.Interval, end: float, limit: float, *, percent: bool = False) -> str:
    """A rate with its interval beside its limit, with digits enough that what is not the limit looks different.

    `end` is the end of the interval that is compared with the limit. A percentage has an upper limit.
    """
    scale, unit, asked = (100, " %", "at most") if percent else (1, "", "more than")
    texts = [text for value in (rate.value, end) for text in gate_check.digits(scale * value, scale * limit)]
    decimals = max(len(text.partition(".")[2]) for text in texts)
    value, low, high, bound = (
        f"{scale * number:.{decimals}f}{unit}" for number in (rate.value, rate.low, rate.high, limit)
    )
    return f"{value} ({low} to {high}), {asked} {bound} asked"
