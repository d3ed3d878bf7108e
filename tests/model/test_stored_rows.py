"""A data frame is read in blocks as rows in files are, and scored to the same bits."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ml.model import estimator, stored_rows
from ml.model.scorer import Scorer
from tests.model.training_samples import TRAINING, rows

pytestmark = pytest.mark.container


def test_scores_of_blocks_are_those_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score and log-odds of a row do not depend on its block; no rows have no scores."""
    X, y = rows()
    scorer = Scorer.from_json(json.dumps(estimator.export(estimator.fit(TRAINING, X, y), TRAINING, 0.5)))
    matrix = scorer.matrix(X)
    for size in (1_000, 1_001, 4_000, 5_000):
        monkeypatch.setattr(stored_rows, "BLOCK_ROWS", size)
        assert np.array_equal(stored_rows.scores(scorer, X), scorer.score(matrix))
        assert np.array_equal(stored_rows.log_odds(scorer, X), scorer.log_odds(matrix))
        both = stored_rows.log_odds_and_scores(scorer, X)
        assert np.array_equal(both[0], scorer.log_odds(matrix)) and np.array_equal(both[1], scorer.score(matrix))
    none = stored_rows.log_odds_and_scores(scorer, X[:0])
    assert (none[0].shape, none[1].shape) == ((0, 1), (0,))


def test_frame_has_the_asked_columns_in_their_order() -> None:
    """Whatever else the rows have."""
    X, _ = rows(10)
    assert stored_rows.frame(X, ["Amount", "V1"]).equals(X[["Amount", "V1"]])
