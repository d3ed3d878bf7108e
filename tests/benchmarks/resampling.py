"""Compares SMOTE with class weights and no resampling, for the first training: a table of docs/settings.md.

Stand-ins of the full size, whose seeds choose nothing else, are split in time as model.yaml says. Each way is fitted on
the training rows; its threshold comes from the validation rows by the committed policy, and it is measured on the later
test rows. The same models then rank a sample of a real day that they have not seen (real_sample.py), with legitimate
rows weighted. `--write` writes the page. No way is chosen here: the table shows what the committed one costs and gains.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from ml import config
from ml.model import threshold
from ml.model.estimators import scikit_learn_pipeline
from ml.model.training_settings import Training
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import stand_in_data
from tests.benchmarks.real_sample import MAX_FALSE_POSITIVE_RATE, PAGE, Sample, replaced

SEEDS = (100, 101)
Labels = NDArray[np.int8]


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of training: the share of frauds that SMOTE adds up to, and whether classes are weighted equally."""

    name: str
    minority_ratio: float
    balanced: bool = False

    def fit(self, training: Training, rows: pd.DataFrame, labels: Labels) -> Pipeline:
        """The pipeline fitted on `rows`."""
        resampling = dataclasses.replace(training.resampling, minority_ratio=self.minority_ratio)
        settings = dataclasses.replace(training, resampling=resampling)
        if not self.balanced:
            return scikit_learn_pipeline.fit(settings, rows, labels).pipeline
        weight = np.where(labels == 1, (labels == 0).sum() / labels.sum(), 1.0)
        return scikit_learn_pipeline.build(settings).fit(
            rows[list(training.columns.inputs)], labels, regression__sample_weight=weight
        )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way on one stand-in, and on the real day."""

    average_precision: float
    recall: float
    false_positive_rate: float
    real_average_precision: float
    real_recall: float


def ways(training: Training) -> list[Way]:
    """The ways that are compared; SMOTE to the committed ratio among them."""
    committed = training.resampling.minority_ratio
    return [
        Way(name="none", minority_ratio=0.0),
        Way(name=f"SMOTE to {committed:g} (committed)", minority_ratio=committed),
        Way(name="SMOTE to 0.1", minority_ratio=0.1),
        Way(name="class weights, balanced", minority_ratio=0.0, balanced=True),
    ]


def measure(way: Way, training: Training, rows: pd.DataFrame, real: Sample) -> Measured:
    """Fits `way` on the first rows of a stand-in and measures it on the last, and on the real day."""
    inputs, columns, split = list(training.columns.inputs), training.columns, training.split
    ordered = rows.sort_values(str(columns.clock), kind="stable").reset_index(drop=True)
    labels = ordered[columns.label].to_numpy().astype(np.int8)
    fitted, chosen = int(split.train * len(ordered)), int((split.train + split.validation) * len(ordered))
    pipeline = way.fit(training, ordered[:fitted], labels[:fitted])
    scores = pipeline.predict_proba(ordered[inputs])[:, 1]
    amounts = ordered[columns.amount].to_numpy()
    validation = slice(fitted, chosen)
    limit = threshold.choose(training.threshold, scores[validation], labels[validation], amounts[validation])
    alerts, fraud = scores[chosen:] >= limit, labels[chosen:] == 1
    unseen = pipeline.predict_proba(real.rows[inputs])[:, 1]
    legitimate = unseen[~real.fraud]
    allowed = threshold.max_count(MAX_FALSE_POSITIVE_RATE, len(legitimate))
    return Measured(
        average_precision=float(average_precision_score(fraud, scores[chosen:])),
        recall=float(alerts[fraud].mean()),
        false_positive_rate=float(alerts[~fraud].mean()),
        real_average_precision=float(average_precision_score(real.fraud, unseen, sample_weight=real.weight)),
        real_recall=float((unseen[real.fraud] >= threshold.lowest(legitimate, allowed, unseen[real.fraud])).mean()),
    )


def line(way: Way, found: Sequence[Measured]) -> str:
    """The table's line: one figure for each stand-in, separated by commas."""

    def each(name: str) -> str:
        return ", ".join(f"{getattr(one, name):.3f}" for one in found)

    points = ", ".join(f"{one.recall:.3f} at {100 * one.false_positive_rate:.2f} %" for one in found)
    figures = (each("average_precision"), points, each("real_average_precision"), each("real_recall"))
    return f"| {way.name} | {' | '.join(figures)} |"


def main(arguments: list[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path, help="CSV of a real day, as for real_sample.py")
    parser.add_argument("--rows", type=int, default=stand_in_data.ROWS, help="rows of each stand-in")
    parser.add_argument("--write", action="store_true", help="write docs/settings.md")
    options = parser.parse_args(arguments)
    training = config.load_settings(SHIPPED).training
    real = Sample(options.sample, training)
    stand_ins = [stand_in_data.draw(options.rows, seed=seed).to_pandas() for seed in SEEDS]
    lines = []
    for way in ways(training):
        lines.append(line(way, [measure(way, training, rows, real) for rows in stand_ins]))
        print(lines[-1], flush=True)
    if options.write:
        head = (
            "| resampling | average precision, stand-ins | recall at false-positive rate, stand-ins | "
            "average precision, real day | recall at 1.5 % false positives, real day |"
        )
        text = PAGE.read_text(encoding="utf-8")
        table = [head, "|---|---:|---:|---:|---:|", *lines]
        PAGE.write_text(replaced(text, "resampling", table), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
