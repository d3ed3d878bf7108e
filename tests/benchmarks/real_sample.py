"""Compares settings of the first training on real rows: docs/settings.md.

Takes the path of a sample of real transactions, which is not committed: one day of the public card data, with all of
its frauds and some of its legitimate rows. Six cuts in time: a model is fitted on the rows before a cut and ranks the
rows after it. Legitimate rows are weighted so that frauds have their share of the full data (ml/simulate/profile.json).
`--write` writes the page. The exit code is 1 if the committed settings' mean average precision is below 0.44.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from ml import config
from ml.model import estimator, model_fit
from ml.model.training_settings import Training

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/settings.md"
CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
PROMISE, DRAWS, CONFIDENCE = 0.44, 500, 0.95
Scores = NDArray[np.float64]


class Sample:
    """The rows in order of time, their labels, and the weight of a legitimate row."""

    def __init__(self, path: Path, training: Training) -> None:
        columns = training.columns
        rows = pd.read_csv(path)
        self.rows = rows.sort_values(str(columns.time), kind="stable").reset_index(drop=True)
        self.fraud = self.rows[columns.label].to_numpy() == 1
        full = json.loads((ROOT / "ml/simulate/profile.json").read_text())["full_set"]
        legitimate = (full["rows"] - full["frauds"]) * self.fraud.sum() / full["frauds"]
        self.weight = np.where(self.fraud, 1.0, legitimate / (~self.fraud).sum())
        self.cuts = [int(share * len(rows)) for share in CUTS]

    def rank(self, training: Training, balanced: bool) -> list[Scores]:
        """The scores of the rows after each cut, by the model fitted on the rows before it."""
        return [self._scores(training, cut, balanced)[cut:] for cut in self.cuts]

    def _scores(self, training: Training, cut: int, balanced: bool) -> Scores:
        inputs, labels = list(training.columns.inputs), self.fraud[:cut].astype(np.int8)
        if balanced:
            weight = np.where(labels == 1, (labels == 0).sum() / labels.sum(), 1.0)
            pipeline = estimator.build(training).fit(self.rows[inputs][:cut], labels, regression__sample_weight=weight)
        else:
            pipeline = estimator.fit(training, self.rows[:cut], labels)
        return np.asarray(pipeline.decision_function(self.rows[inputs]))

    def mean_average_precision(self, ranked: list[Scores], counts: NDArray[np.float64] | None = None) -> float:
        """The mean over the cuts; each row counts `counts` times."""
        weight = self.weight if counts is None else self.weight * counts
        found = [
            average_precision_score(self.fraud[cut:], scores, sample_weight=weight[cut:])
            for cut, scores in zip(self.cuts, ranked, strict=True)
        ]
        return float(np.mean(found))

    def interval(self, ranked: list[Scores]) -> tuple[float, float]:
        """Of the mean, over draws of the rows with replacement, frauds and legitimate rows separately."""
        random = np.random.default_rng(0)
        means = []
        for _ in range(DRAWS):
            counts = np.zeros(len(self.fraud))
            for kind in (self.fraud, ~self.fraud):
                rows = np.flatnonzero(kind)
                np.add.at(counts, random.choice(rows, len(rows)), 1)
            means.append(self.mean_average_precision(ranked, counts))
        low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return float(low), float(high)

    def operating_point(self, training: Training) -> tuple[float, float]:
        """Mean recall and false-positive rate after the cuts at the threshold that the product chooses before them."""
        recall, false_positives = [], []
        for cut in self.cuts:
            end = int(cut * training.split.train / (training.split.train + training.split.validation))
            labels = self.fraud.astype(np.int8)
            made = model_fit.fit(training, (self.rows[:end], labels[:end]), (self.rows[end:cut], labels[end:cut]))
            alerts = made.pipeline.predict_proba(self.rows[cut:])[:, 1] >= made.threshold
            recall.append(alerts[self.fraud[cut:]].mean())
            false_positives.append(alerts[~self.fraud[cut:]].mean())
        return float(np.mean(recall)), float(np.mean(false_positives))


def variants(training: Training) -> Iterator[tuple[str, Training, bool]]:
    """A name, the settings, and whether classes are weighted; the first is the committed one."""

    def changed(part: str, **values: Any) -> Training:
        return dataclasses.replace(training, **{part: dataclasses.replace(getattr(training, part), **values)})

    yield "committed", training, False
    for bins, tail in ((0, ()), (10, ()), (90, ())):
        yield f"{bins} amount bins, no tail", changed("binning", amount_bins=bins, amount_tail=tail), False
    yield "no hour bins", changed("binning", hour_bins=0), False
    for penalty in (0.0015, 0.005, 0.01, 0.03, 0.1):
        yield f"l2_penalty {penalty:g}", changed("regression", l2_penalty=penalty), False
    yield "no resampling", changed("resampling", minority_ratio=0.0), False
    for ratio in (0.5, 1.0):
        yield f"SMOTE to {ratio:g}", changed("resampling", minority_ratio=ratio), False
    yield "class weights", changed("resampling", minority_ratio=0.0), True


def main() -> int:
    """Prints the table; 1 if the committed settings miss the promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path, help="CSV with the columns of model.yaml and the label")
    parser.add_argument("--write", action="store_true", help="write docs/settings.md")
    options = parser.parse_args()
    training = config.load_settings(ROOT).training
    sample = Sample(options.sample, training)
    lines, committed = [], 0.0
    for name, settings, balanced in variants(training):
        ranked = sample.rank(settings, balanced)
        mean, (low, high) = sample.mean_average_precision(ranked), sample.interval(ranked)
        at = "–" if balanced else "{:.3f} at {:.2%}".format(*sample.operating_point(settings)).replace("%", " %")
        lines.append(f"| {name} | {mean:.3f} | {low:.3f} to {high:.3f} | {at} |")
        print(lines[-1], flush=True)  # noqa: T201 - a program of its own
        committed = committed or mean
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        begin, end = "<!-- real rows: begin -->", "<!-- real rows: end -->"
        before, after = text.split(begin)[0], text.split(end)[1]
        head = "| settings | mean average precision | 95 % interval | recall at false-positive rate |"
        PAGE.write_text(
            "\n".join([before + begin, "", head, "|---|---:|---:|---:|", *lines, "", end + after]), encoding="utf-8"
        )
    if committed < PROMISE:
        print(f"mean average precision {committed:.3f} is below {PROMISE}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
