"""Settings of a training run as plain dataclasses: the pure counterpart of model-config/training/.

`ml.config` validates the YAML and creates these. The pipeline passes them as JSON to the steps, whose container has no
validation library. No setting has a default here: all values come from model-config/.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TimeColumn:
    """The column with a transaction's time, and how its values are read.

    `unit` is one of `time_units.UNITS`; `zone` is the IANA zone of ISO times without an offset, UTC for other units.
    """

    column: str
    unit: str
    zone: str


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of a transaction's columns.

    `time` and `amount` are None if the data has none. `event_id` and `entity` are text; without `event_id`, ids are
    made from the content. `categories` are inputs that are text, the last columns of a request. `keep` are further
    columns that the lake keeps as text and training ignores.
    """

    label: str
    time: TimeColumn | None
    amount: str | None
    event_id: str | None
    entity: str | None
    features: tuple[str, ...]
    categories: tuple[str, ...]
    keep: tuple[str, ...]

    @property
    def clock(self) -> str | None:
        """The name of the time column; None without one."""
        return None if self.time is None else self.time.column

    @property
    def time_unit(self) -> str | None:
        """The unit of the time column; None without one."""
        return None if self.time is None else self.time.unit

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of a request, in order: the time (only the time of day is used), features, amount, categories."""
        return (*self.numbers, *self.categories)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The inputs that are numbers, in the order of `inputs`."""
        return (
            *((self.time.column,) if self.time is not None else ()),
            *self.features,
            *((self.amount,) if self.amount is not None else ()),
        )

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that the lake keeps as text beside the inputs."""
        return (*((self.entity,) if self.entity is not None else ()), *self.keep)

    def left_out(self) -> tuple[str, ...]:
        """What is left out because the data has no time or no amount, one sentence each."""
        return (
            *((NO_TIME,) if self.time is None else ()),
            *((NO_AMOUNT,) if self.amount is None else ()),
        )


NO_TIME = "data.yaml names no time column: bins of the hour of day are left out."
NO_AMOUNT = (
    "data.yaml names no amount column: amount bins, comparisons by amount band, and amounts found or missed are left "
    "out; fraud rates are those of all rows together."
)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Shares of the time-ordered rows, oldest first; they add up to 1."""

    train: float
    validation: float
    test: float


@dataclass(frozen=True, kw_only=True)
class Binning:
    """Bins of the amount and of the hour of day.

    `amount_bins` is the number of equal-frequency bins; `amount_tail` are quantile levels, above the last of those,
    at which the highest bin is divided further. `hour_bins` is the number of equal parts of the day. 0 and () leave
    bins out.
    """

    amount_bins: int
    amount_tail: tuple[float, ...]
    hour_bins: int


@dataclass(frozen=True, kw_only=True)
class Categories:
    """Which values of a text column get a coefficient of their own.

    `min_rows` is the number of fitted rows that a value must have; all rarer ones share a coefficient. A column with
    more than `max_values` different values among the training rows is refused.
    """

    min_rows: int
    max_values: int


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """SMOTE until frauds are `minority_ratio` of legitimate rows, with `neighbours` nearest neighbours; 0 = none."""

    minority_ratio: float
    neighbours: int


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Logistic regression: the L2 penalty, and when the fit ends.

    `l2_penalty` / 2 times the squared norm of the coefficients is added to the *mean* log loss of the resampled rows,
    so that one value shrinks a fit on a thousand rows as it does one on a hundred thousand. The fit ends with a step
    that changes no coefficient by more than `tolerance`.
    """

    l2_penalty: float
    max_iterations: int
    tolerance: float


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """How the decision threshold is chosen.

    `max_recall_at_fpr`: `value` is the highest false-positive rate allowed; `alert_budget`: `value` is the share of
    transactions that may be alerted; `min_cost`: `value` is the cost of an alert in the unit of the amounts, and
    `loss_share` the share of an undetected fraud's amount that is lost; `fixed`: `value` is the score itself.
    """

    policy: str
    value: float
    loss_share: float | None = None  # of min_cost, which requires it


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """When and how out-of-fold scores choose the threshold.

    They do where the policy allows fewer than `below_alerts` alerts on the validation rows; `blocks` is the number of
    blocks of time. The model is then fitted on training and validation rows together.
    """

    below_alerts: int
    blocks: int


@dataclass(frozen=True, kw_only=True)
class Challenger:
    """When a challenger replaces the champion, by intervals of the paired differences on the same test rows.

    `policy` is `not_worse`: the interval excludes a loss of recall of more than `max_recall_loss`; or `better`: recall
    or average precision is higher beyond chance. The other limits stop a challenger that is worse beyond chance by
    more than they say; `max_recall_loss` does so in each slice.
    """

    policy: str
    max_recall_loss: float
    max_precision_loss: float
    max_average_precision_loss: float
    max_false_positive_rate_gain: float
    confidence: float
    resamples: int
    min_positives: int


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The registration gate: recall must be strictly greater than `min_recall`.

    `decides` is `point` or `bound`: whether a rate itself is compared with its limit, or the end of its 95 % interval
    that is nearer to the limit. A bound decides only where there are rows enough to tell (gate.py).
    """

    min_recall: float
    max_false_positive_rate: float
    decides: str
    min_positives: int
    challenger: Challenger


@dataclass(frozen=True, kw_only=True)
class Training:
    """All settings that determine a model, given the rows. `estimator` names a file of ml/model/estimators."""

    estimator: str
    columns: Columns
    split: Split
    binning: Binning
    categories: Categories
    resampling: Resampling
    regression: Regression
    threshold: Threshold
    out_of_fold: OutOfFold
    alert_budget: float
    min_recall_at_alert_budget: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings that the pipeline passes to its steps."""

    training: Training
    gate: Gate

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, so that equal settings give equal bytes."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """The configuration digest of approvals."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """The inverse of `to_json`. Raises TypeError or KeyError on a document of another shape."""
        document: dict[str, Any] = json.loads(text)
        training, gate = document["training"], document["gate"]
        columns, binning = training["columns"], training["binning"]
        return cls(
            training=Training(
                estimator=training["estimator"],
                columns=Columns(
                    **columns
                    | {name: tuple(columns[name]) for name in ("features", "categories", "keep")}
                    | {"time": TimeColumn(**columns["time"]) if columns["time"] is not None else None}
                ),
                split=Split(**training["split"]),
                binning=Binning(**(binning | {"amount_tail": tuple(binning["amount_tail"])})),
                categories=Categories(**training["categories"]),
                resampling=Resampling(**training["resampling"]),
                regression=Regression(**training["regression"]),
                threshold=Threshold(**training["threshold"]),
                out_of_fold=OutOfFold(**training["out_of_fold"]),
                alert_budget=training["alert_budget"],
                min_recall_at_alert_budget=training["min_recall_at_alert_budget"],
                seed=training["seed"],
            ),
            gate=Gate(**(gate | {"challenger": Challenger(**gate["challenger"])})),
        )
