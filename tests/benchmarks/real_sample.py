"""Compares settings of the first training on real rows: docs/settings.md.

Takes the path of a sample of real transactions, which is not committed: one day of the public card data, with all of
its frauds and some of its legitimate rows. Six cuts in time: a model is fitted on the rows before a cut and ranks the
rows after it. Legitimate rows are weighted so that frauds have their share of the full data (ml/simulate/profile.json).
Ten blocks of time: a model is fitted on the other nine and scores the block, as it would a day that it has not seen.
`--write` writes the page; `--committed-only` measures no other settings. The exit code is 1 if the committed settings'
mean average precision is below 0.44, or their recall on unseen blocks below 0.88 at 1.5 % false positives.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from ml import config
from ml.model import document_fields, estimator, model_fit, out_of_fold, threshold
from ml.model.estimators import scikit_learn_pipeline
from ml.model.metrics import Estimate, rate
from ml.model.scorer import Scorer
from ml.model.training_settings import Training
from ml.playground.template_state import FOLDER as SHIPPED

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/settings.md"
CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
PROMISE, DRAWS, CONFIDENCE = 0.44, 500, 0.95
BLOCKS, MAX_FALSE_POSITIVE_RATE, MIN_RECALL = 10, 0.015, 0.88
COMMITTED = "committed"
Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What the models of the other blocks give on the rows of each block, all blocks together.

    The first two are at the threshold that the product chooses before it sees the block; `recall_at_limit` is at the
    score that MAX_FALSE_POSITIVE_RATE of the blocks' legitimate rows reach.
    """

    recall: Estimate
    false_positive_rate: Estimate
    recall_at_limit: Estimate


class Sample:
    """The rows in order of time, their labels, and the weight of a legitimate row."""

    def __init__(self, path: Path, training: Training) -> None:
        columns = training.columns
        rows = pd.read_csv(path)
        self.rows = rows.sort_values(str(columns.clock), kind="stable").reset_index(drop=True)
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
            pipeline = scikit_learn_pipeline.build(training).fit(
                self.rows[inputs][:cut], labels, regression__sample_weight=weight
            )
            return np.asarray(pipeline.decision_function(self.rows[inputs]))
        scorer = _scorer(estimator.export(estimator.fit(training, self.rows[:cut], labels), training, 0.5))
        return scorer.log_odds(scorer.matrix(self.rows))[:, 0]

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
            before = np.arange(len(self.fraud)) < cut
            scores, chosen = self._product(training, before, ~before)
            alerts, fraud = scores >= chosen, self.fraud[cut:]
            recall.append(alerts[fraud].mean())
            false_positives.append(alerts[~fraud].mean())
        return float(np.mean(recall)), float(np.mean(false_positives))

    def unseen(self, training: Training) -> Unseen:
        """The figures of blocks that the model has not seen; legitimate rows are not weighted, so that they count."""
        scores, alerts = np.empty(len(self.fraud)), np.zeros(len(self.fraud), dtype=np.bool_)
        block = out_of_fold.time_blocks(len(self.fraud), BLOCKS)
        for number in range(BLOCKS):
            held = block == number
            scores[held], chosen = self._product(training, ~held, held)
            alerts[held] = scores[held] >= chosen
        legitimate = scores[~self.fraud]
        allowed = threshold.max_count(MAX_FALSE_POSITIVE_RATE, len(legitimate))
        limit = threshold.lowest(legitimate, allowed, scores[self.fraud])

        def share(of: NDArray[np.bool_]) -> Estimate:
            return rate(int(of.sum()), len(of), "no such rows")

        return Unseen(
            recall=share(alerts[self.fraud]),
            false_positive_rate=share(alerts[~self.fraud]),
            recall_at_limit=share(scores[self.fraud] >= limit),
        )

    def _product(
        self, training: Training, fitted: NDArray[np.bool_], scored: NDArray[np.bool_]
    ) -> tuple[Scores, float]:
        """The scores of some rows and the threshold, as a first training on the rows `fitted` would make them."""
        rows, labels = self.rows[fitted], self.fraud[fitted].astype(np.int8)
        end = int(len(rows) * training.split.train / (training.split.train + training.split.validation))
        made = model_fit.fit(training, (rows[:end], labels[:end]), (rows[end:], labels[end:]))
        scorer = _scorer(made.document(training))
        return scorer.score(scorer.matrix(self.rows.loc[scored])), made.threshold


def _scorer(document: dict[str, Any]) -> Scorer:
    return Scorer.from_json(document_fields.canonical(document))


def variants(training: Training) -> Iterator[tuple[str, Training, bool]]:
    """A name, the settings, and whether classes are weighted; the first is the committed one."""

    def changed(part: str, **values: Any) -> Training:
        return dataclasses.replace(training, **{part: dataclasses.replace(getattr(training, part), **values)})

    yield COMMITTED, training, False
    for bins, tail in ((0, ()), (10, ()), (90, ())):
        yield f"{bins} amount bins, no tail", changed("binning", amount_bins=bins, amount_tail=tail), False
    yield "no hour bins", changed("binning", hour_bins=0), False
    for penalty in (0.0015, 0.005, 0.01, 0.03, 0.1):
        yield f"l2_penalty {penalty:g}", changed("regression", l2_penalty=penalty), False
    yield "no resampling", changed("resampling", minority_ratio=0.0), False
    for ratio in (0.5, 1.0):
        yield f"SMOTE to {ratio:g}", changed("resampling", minority_ratio=ratio), False
    yield "class weights", changed("resampling", minority_ratio=0.0), True


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the page's tables: `unseen` is None where classes are weighted, which the product cannot do."""

    name: str
    mean: float
    low: float
    high: float
    operating_point: tuple[float, float] | None
    unseen: Unseen | None

    def cuts(self) -> str:
        """The line of the table of cuts."""
        at = "–" if self.operating_point is None else "{:.3f} at {:.2%}".format(*self.operating_point)
        figures = (self.name, f"{self.mean:.3f}", f"{self.low:.3f} to {self.high:.3f}", at.replace("%", " %"))
        return f"| {' | '.join(figures)} |"

    def blocks(self) -> str:
        """The line of the table of unseen blocks, empty where there is none."""
        if self.unseen is None:
            return ""
        figures = (self.unseen.recall, self.unseen.false_positive_rate, self.unseen.recall_at_limit)
        return f"| {' | '.join([self.name, *map(_share, figures)])} |"


def _share(figure: Estimate) -> str:
    assert figure.value is not None and figure.low is not None and figure.high is not None
    return f"{100 * figure.value:.1f} % ({100 * figure.low:.1f} to {100 * figure.high:.1f})"


def measure(sample: Sample, chosen: Iterable[tuple[str, Training, bool]]) -> Iterator[Line]:
    """A line for each of `variants`."""
    for name, settings, balanced in chosen:
        ranked = sample.rank(settings, balanced)
        low, high = sample.interval(ranked)
        yield Line(
            name=name,
            mean=sample.mean_average_precision(ranked),
            low=low,
            high=high,
            operating_point=None if balanced else sample.operating_point(settings),
            unseen=None if balanced else sample.unseen(settings),
        )


def missed(line: Line) -> list[str]:
    """The promises that the committed settings' line misses, in sentences."""
    found = []
    if line.mean < PROMISE:
        found.append(f"mean average precision {line.mean:.3f} is below {PROMISE}")
    recall = line.unseen.recall_at_limit.value if line.unseen is not None else None
    if recall is None or recall < MIN_RECALL:
        found.append(
            f"recall on unseen blocks at {MAX_FALSE_POSITIVE_RATE:.1%} false positives is {recall}, below {MIN_RECALL}"
        )
    return found


def page(text: str, lines: Sequence[Line]) -> str:
    """The page `text` with the tables of `lines` between its marks."""
    tables = {
        "real rows": (
            "| settings | mean average precision | 95 % interval | recall at false-positive rate |",
            [line.cuts() for line in lines],
        ),
        "unseen blocks": (
            "| settings | recall | false-positive rate | recall at 1.5 % false positives |",
            [line.blocks() for line in lines if line.unseen is not None],
        ),
    }
    for name, (head, body) in tables.items():
        text = replaced(text, name, [head, "|---|---:|---:|---:|", *body])
    return text


def replaced(text: str, name: str, table: Sequence[str]) -> str:
    """The page `text` with the lines of `table` between the marks called `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, after = text.split(begin, maxsplit=1)[0], text.split(end, maxsplit=1)[1]
    return "\n".join([before + begin, "", *table, "", end + after])


def main(arguments: list[str] | None = None) -> int:
    """Prints the tables; 1 if the committed settings miss a promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path, help="CSV with the columns of data.yaml and the label")
    parser.add_argument("--committed-only", action="store_true", help="measure the committed settings, no others")
    parser.add_argument("--write", action="store_true", help="write docs/settings.md")
    options = parser.parse_args(arguments)
    if options.write and options.committed_only:
        parser.error("--write needs all settings: leave out --committed-only")
    training = config.load_settings(SHIPPED).training
    sample = Sample(options.sample, training)
    chosen = [found for found in variants(training) if not options.committed_only or found[0] == COMMITTED]
    lines = []
    for line in measure(sample, chosen):
        lines.append(line)
        print(line.cuts(), line.blocks(), sep="\n", flush=True)
    if options.write:
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
    failures = missed(lines[0])
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
