"""The plain way to the same model with scikit-learn and imbalanced-learn, for processes of .venv-bench.

Imports nothing of the project: .venv-bench does not have its packages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, StandardScaler

FEATURES = [f"V{number}" for number in range(1, 29)]
INPUTS = ["Time", *FEATURES, "Amount"]
LABEL = "Class"
SECONDS_PER_DAY, SECONDS_PER_HOUR = 86_400, 3_600
AMOUNT_BINS, HOUR_BINS = 10, 8


def hour_of_day(times: Any) -> Any:
    """The hour of day, 0 to 23, of seconds since a midnight."""
    return np.floor(np.asarray(times, dtype=np.float64) % SECONDS_PER_DAY / SECONDS_PER_HOUR)


def features() -> ColumnTransformer:
    """Standardised features and log-amount, one-hot deciles of the amount, one-hot parts of the day."""
    deciles = KBinsDiscretizer(AMOUNT_BINS, encode="onehot-dense", strategy="quantile", quantile_method="linear")
    parts = KBinsDiscretizer(HOUR_BINS, encode="onehot-dense", strategy="uniform")
    return ColumnTransformer(
        [
            ("features", StandardScaler(), FEATURES),
            ("amount", make_pipeline(FunctionTransformer(np.log1p), StandardScaler()), ["Amount"]),
            ("amount_bin", deciles, ["Amount"]),
            ("hour_bin", make_pipeline(FunctionTransformer(hour_of_day), parts), ["Time"]),
        ]
    )


def same_model(path: Path) -> Pipeline:
    """The pipeline that scores as the model.json at `path`: its numbers in the place of fitted ones."""
    document = json.loads(path.read_text("utf-8"))
    (part,) = document["parts"]
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(np.abs(generator.normal(size=(1_000, len(INPUTS)))), columns=INPUTS)
    rows["Time"] = np.linspace(0, SECONDS_PER_DAY - 1, len(rows))
    transform = features().fit(rows)
    found = transform.named_transformers_
    terms = {term["name"]: term for term in part["features"]}
    _set_scaler(found["features"], [terms[name] for name in FEATURES])
    _set_scaler(found["amount"][-1], [terms["Amount"]])
    tables = {table["kind"]: table for table in part["bins"]}
    _set_bins(found["amount_bin"], tables["value"])
    _set_bins(found["hour_bin"][-1], tables["hour_of_day"])
    regression = LogisticRegression()
    regression.classes_ = np.array([0, 1])
    coefficients = [terms[name]["coefficient"] for name in (*FEATURES, "Amount")]
    coefficients += tables["value"]["coefficients"] + tables["hour_of_day"]["coefficients"]
    regression.coef_, regression.intercept_ = np.array([coefficients]), np.array([part["intercept"]])
    regression.n_features_in_ = len(coefficients)
    return Pipeline([("features", transform), ("regression", regression)])


def _set_scaler(scaler: StandardScaler, terms: list[dict[str, float]]) -> None:
    scaler.mean_ = np.array([term["mean"] for term in terms])
    scaler.scale_ = np.array([term["scale"] for term in terms])
    scaler.var_ = scaler.scale_**2


def _set_bins(bins: KBinsDiscretizer, table: dict[str, list[float]]) -> None:
    edges = table["edges"]
    count = len(edges) + 1
    bins.bin_edges_ = np.array([np.array([-1e300, *edges, 1e300])], dtype=object)
    bins.n_bins_ = np.array([count])
    bins._encoder.categories_ = [np.arange(count)]
    bins._encoder._n_features_outs = [count]


def recall_and_rate(scores: NDArray[np.float64], labels: Any, threshold: float) -> dict[str, float]:
    """Recall and false-positive rate at a threshold."""
    alerts, frauds = scores >= threshold, np.asarray(labels) == 1
    return {"recall": float(alerts[frauds].mean()), "false_positive_rate": float(alerts[~frauds].mean())}
