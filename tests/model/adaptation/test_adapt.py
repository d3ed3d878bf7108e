"""An adaptation keeps what the champion knew, finds what is new, and leaves alone what has not changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from ml.model import calibration_line, document_fields, estimator, threshold
from ml.model.adaptation import adapt as adaptation
from ml.model.adaptation.adapt import AMOUNTS, NO_EXPERT, TAILS, Adapted, adapt, unadapted
from ml.model.model_parts import Line
from ml.model.scorer import Scorer
from tests.model.training_samples import COLUMNS, TRAINING, rows

pytestmark = pytest.mark.container
BLOCKS = 5
Rows = tuple[NDArray[np.float64], NDArray[np.int8]]


@cache
def champion() -> tuple[dict[str, Any], Line]:
    """A champion's document, fitted on history, and the line of its log-odds on later history."""
    X, y = rows(20_000, 0.01, seed=1)
    document = estimator.export(estimator.fit(TRAINING, X, y), TRAINING, 0.5)
    later, labels = rows(20_000, 0.01, seed=2)
    log_odds = Scorer.from_json(json.dumps(document)).log_odds(later.to_numpy())[:, 0]
    history = calibration_line.fit(log_odds, labels)
    return document | {"history": {"slope": history.slope, "intercept": history.intercept}}, history


def arrays(seed: int, new: str = "", count: int = 6000) -> Rows:
    """Rows like history's; with `new`, half of the rows in the top 1 % of that column are frauds."""
    X, y = rows(count, 0.01, seed=seed)
    if new:
        top = (X[new] >= X[new].quantile(0.99)).to_numpy()
        y[top & (np.random.default_rng(seed).random(count) < 0.5)] = 1
    return X.to_numpy(), y


def adapted(document: dict[str, Any], given: Rows, **options: Any) -> Adapted:
    """The adaptation of a champion's document to some rows."""
    X, y = given
    log_odds = Scorer.from_json(json.dumps(unadapted(document))).log_odds(X)[:, 0]
    return adapt(COLUMNS, X, y, champion=log_odds, history=champion()[1], blocks=BLOCKS, **options)


def scorer(found: Adapted, given: Rows) -> Scorer:
    """The scorer of an adapted champion with a threshold of 2 % false positives on out-of-fold scores."""
    score = threshold.choose(TRAINING.threshold, found.scores, given[1])
    document = found.document(champion()[0], {"policy": "max_recall_at_fpr", "value": 0.02, "score": score})
    return Scorer.from_json(json.dumps(document))


@pytest.mark.parametrize(("column", "candidate"), [("Amount", AMOUNTS), ("V3", TAILS)])
def test_adaptation_finds_new_frauds_and_keeps_the_known(column: str, candidate: str) -> None:
    """Half of the top 1 % become frauds: later ones are found, and the recall of history's kind stays within .05.

    The amount's table sees the one region; only the tables of the tails see the other, and they are chosen then.
    """
    found = adapted(champion()[0], given := arrays(11, column))
    model, before = scorer(found, given), Scorer.from_json(json.dumps(champion()[0]))
    X, y = arrays(12, column, count=12_000)
    known = rows(12_000, 0.01, seed=12)[1] == 1
    alerts = model.decide(model.score(X)) == 1
    old = before.score(X)
    champion_alerts = old >= np.quantile(old[y == 0], 0.98)
    new = (y == 1) & ~known
    assert champion_alerts[new].mean() < 0.3
    assert alerts[new].mean() > 0.95
    assert alerts[known].mean() > champion_alerts[known].mean() - 0.05
    assert alerts[y == 0].mean() < 0.03
    assert found.candidate == candidate


@pytest.mark.parametrize("seed", [11, 13])
def test_amount_from_which_frauds_are_new_is_sharp(seed: int) -> None:
    """Half of the top 1 % of amounts are new frauds: half of the next 1 % have less than 1 new fraud in 600 rows.

    Alerts on them would take the place of alerts on known frauds. As strong a prior as beside the tables of tails gives
    them twice as much.
    """
    found = adapted(champion()[0], given := arrays(seed, "Amount", count=20_000), candidates=(AMOUNTS,))
    model = scorer(found, given)
    X = arrays(seed + 1, count=40_000)[0]
    amounts, chance = X[:, COLUMNS.inputs.index("Amount")], expit(model.log_odds(X)[:, 1])
    low, high = np.quantile(amounts, [0.98, 0.99])
    assert np.median(chance[amounts >= high]) > 0.4
    assert np.median(chance[(amounts >= low) & (amounts < high)]) < 1 / 600


@pytest.mark.parametrize("seed", range(20, 25))
def test_adaptation_without_new_frauds_keeps_the_ranking(seed: int) -> None:
    """On drift-free rows the ranking differs by less than .002 in AUC and .02 in average precision, expert or not."""
    given = arrays(seed)
    X, y = arrays(seed + 100, count=12_000)
    before = Scorer.from_json(json.dumps(champion()[0])).score(X)
    for candidates in (adaptation.CANDIDATES, (TAILS,)):
        found = adapted(champion()[0], given, candidates=candidates)
        after = scorer(found, given).score(X)
        assert abs(roc_auc_score(y, after) - roc_auc_score(y, before)) < 0.002
        assert abs(average_precision_score(y, after) - average_precision_score(y, before)) < 0.02


def test_expert_stays_near_zero_without_new_frauds() -> None:
    """Where nothing is new, no expert is kept, and one that is forced gives a row less than 1 in 500."""
    kept = [adapted(champion()[0], arrays(seed)).candidate for seed in range(20, 26)]
    assert kept.count(NO_EXPERT) >= 5
    given = arrays(20)
    forced = scorer(adapted(champion()[0], given, candidates=(TAILS,)), given)
    chance = expit(forced.log_odds(arrays(120, count=12_000)[0])[:, 1])
    assert chance.mean() < 0.002


def test_without_expert_the_order_is_exactly_the_champions() -> None:
    """A model without a part for new patterns is the champion on another scale."""
    found = adapted(champion()[0], given := arrays(20), candidates=(NO_EXPERT,))
    X, _ = arrays(30)
    before = Scorer.from_json(json.dumps(champion()[0])).log_odds(X)[:, 0]
    after = scorer(found, given).log_odds(X)[:, 0]
    np.testing.assert_allclose(after, found.line.slope * before + found.line.intercept, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.argsort(before, kind="stable"), np.argsort(after, kind="stable"))


@pytest.mark.parametrize("column", ["", "Amount", "V3"])
def test_document_scores_as_the_fit_does(column: str) -> None:
    """Folded and exported, the model has the fit's own probabilities to 1e-9, also on rows far from the training's."""
    candidates = adaptation.CANDIDATES if column else (TAILS,)
    found = adapted(champion()[0], given := arrays(11, column), candidates=candidates)
    model = scorer(found, given)
    other = arrays(31)[0]
    wild = other * np.random.default_rng(2).choice([1, 30, 1000], size=other.shape)
    for X in (given[0], other, wild):
        log_odds = Scorer.from_json(json.dumps(champion()[0])).log_odds(X)[:, 0]
        np.testing.assert_allclose(model.score(X), found.probabilities(COLUMNS, X, log_odds), rtol=0, atol=1e-9)


def test_adapting_again_starts_from_the_unadapted_champion() -> None:
    """The champion's numbers stay as they are, so a second adaptation to the same rows gives the same model."""
    given = arrays(11, "Amount")
    limit = {"policy": "max_recall_at_fpr", "value": 0.02, "score": 0.5}
    once = adapted(champion()[0], given).document(champion()[0], limit)
    assert unadapted(once) | {"threshold": None} == unadapted(champion()[0]) | {"threshold": None}
    assert once["history"] == champion()[0]["history"]
    twice = adapted(once, given).document(once, limit)
    assert twice == once


def test_scores_of_the_fit_are_out_of_fold() -> None:
    """A row's own label does not change its score: other labels in one block change the scores of the other blocks."""
    X, y = arrays(11, "Amount")
    flipped = y.copy()
    block = np.arange(len(y)) * BLOCKS // len(y) == 2
    flipped[block] = np.roll(y[block], 37)
    a, b = (adapted(champion()[0], (X, labels), candidates=(AMOUNTS,)).scores for labels in (y, flipped))
    np.testing.assert_allclose(a[block], b[block], rtol=1e-3)  # the start of the fit differs, its end hardly
    assert np.abs(a[~block] / b[~block] - 1).max() > 0.05


def test_adaptation_is_deterministic_across_processes(tmp_path: Path) -> None:
    """The document has the same bytes with another hash seed and another number of threads."""
    limit = {"policy": "fixed", "value": 0.5, "score": 0.5}
    document, (X, y) = champion()[0], arrays(11, "V3")
    here = document_fields.canonical(adapted(document, (X, y)).document(document, limit))
    np.savez(tmp_path / "given.npz", X=X, y=y, log_odds=Scorer.from_json(json.dumps(document)).log_odds(X)[:, 0])
    (tmp_path / "champion.json").write_text(json.dumps(document))
    samples = Path(__file__).parents[1] / "training_samples.py"
    code = (
        "import json, runpy, numpy\n"
        "from ml.model import document_fields\n"
        "from ml.model.adaptation.adapt import adapt\n"
        "from ml.model.model_parts import Line\n"
        f"columns = runpy.run_path({str(samples)!r})['COLUMNS']\n"
        "given, document = numpy.load('given.npz'), json.load(open('champion.json'))\n"
        "line = Line(**document['history'])\n"
        "found = adapt(columns, given['X'], given['y'], champion=given['log_odds'], history=line, blocks=5)\n"
        f"print(document_fields.canonical(found.document(document, {limit!r})))"
    )
    root = Path(__file__).resolve().parents[3]
    threads = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "5", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | threads, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == here


@pytest.mark.parametrize(("count", "frauds"), [(4, 2), (500, 0)])
def test_too_few_rows_or_frauds_are_refused(count: int, frauds: int) -> None:
    """The error has both counts."""
    X, _ = arrays(11)
    y = (np.arange(count) < frauds).astype(np.int8)
    with pytest.raises(ValueError, match=f"got {frauds} frauds in {count} rows"):
        adapt(COLUMNS, X[:count], y, champion=np.zeros(count), history=Line(slope=1.0, intercept=0.0), blocks=BLOCKS)


def test_champion_that_ranks_the_wrong_way_is_refused() -> None:
    """Such a champion has nothing to keep; the error says what to do."""
    X, y = arrays(11, count=20_000)
    upside_down = 3.0 - 6.0 * y
    with pytest.raises(ValueError, match=r"slope of -.*train a new model \(kind fit\)"):
        adapt(
            COLUMNS,
            X,
            y,
            champion=upside_down,
            history=Line(slope=0.2, intercept=-4.0),
            blocks=BLOCKS,
            candidates=(NO_EXPERT,),
        )
