"""A few labelled transactions that a model can learn from, and training settings; synthetic."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model import training_settings
from tests.harness.columns import ulb_columns

COLUMNS = ulb_columns(("V1", "V2", "V3"))
WITH_CATEGORIES = ulb_columns(("V1", "V2", "V3"), categories=("shop", "country"))
SHOPS = ("food", "fuel", 'rare, "quoted"', "", "Süßes")
COUNTRIES = ("DE", "FR", "XK")
TRAINING = training_settings.Training(
    estimator="logistic_regression",
    columns=COLUMNS,
    split=training_settings.Split(train=0.5, validation=0.2, test=0.3),
    binning=training_settings.Binning(amount_bins=5, amount_tail=(), hour_bins=4),
    categories=training_settings.Categories(min_rows=20, max_values=100),
    resampling=training_settings.Resampling(minority_ratio=0.2, neighbours=5),
    regression=training_settings.Regression(l2_penalty=0.002, max_iterations=500, tolerance=1e-6),
    threshold=training_settings.Threshold(policy="max_recall_at_fpr", value=0.02),
    out_of_fold=training_settings.OutOfFold(below_alerts=0, blocks=4),
    alert_budget=0.05,
    min_recall_at_alert_budget=0.8,
    seed=7,
)
GATE = training_settings.Gate(
    min_recall=0.6,
    max_false_positive_rate=0.05,
    decides="point",
    min_positives=15,
    challenger=training_settings.Challenger(
        policy="not_worse",
        max_recall_loss=0.1,
        max_precision_loss=0.15,
        max_average_precision_loss=0.02,
        max_false_positive_rate_gain=0.01,
        confidence=0.95,
        resamples=400,
        min_positives=15,
    ),
)
SETTINGS = training_settings.Settings(training=TRAINING, gate=GATE)


def changed(training: training_settings.Training = TRAINING, **parts: Any) -> training_settings.Training:
    """`training` with some fields replaced; a dictionary replaces fields of that field."""
    made = {
        name: dataclasses.replace(getattr(training, name), **value) if isinstance(value, dict) else value
        for name, value in parts.items()
    }
    return dataclasses.replace(training, **made)


def rows(n: int = 4000, share: float = 0.03, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """`n` transactions over two days, oldest first, and their labels; frauds differ in V1, V2 and amount."""
    random = np.random.default_rng(seed)
    y = (random.random(n) < share).astype(np.int8)
    values = random.standard_normal((n, 3))
    values[:, 0] += 2.5 * y
    values[:, 1] -= 1.5 * y
    amount = np.round(np.exp(random.normal(3 + 0.8 * y, 1.2)), 2)
    time = np.sort(np.floor(random.random(n) * 2 * 86_400))
    return pd.DataFrame(np.column_stack([time, values, amount]), columns=list(COLUMNS.inputs)), y


def rows_with_categories(n: int = 4000, share: float = 0.03, seed: int = 0) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """`rows` with a shop, which frauds choose differently, and a country, which tells nothing; both text."""
    X, y = rows(n, share, seed)
    random = np.random.default_rng([seed, 1])
    legitimate, fraud = (0.6, 0.3, 0.002, 0.05, 0.048), (0.1, 0.2, 0.002, 0.2, 0.498)
    drawn = np.where(y == 1, random.choice(len(SHOPS), n, p=fraud), random.choice(len(SHOPS), n, p=legitimate))
    X["shop"] = [SHOPS[at] for at in drawn.tolist()]
    X["country"] = [COUNTRIES[at] for at in random.choice(len(COUNTRIES), n, p=(0.7, 0.299, 0.001)).tolist()]
    return X, y
