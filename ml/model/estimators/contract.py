"""The contract of an estimator: one file of this folder, with one function `fit`.

An estimator writes the part for known patterns of model.json and nothing else of it. That part is a sum: an intercept,
linear terms, tables of numbers and of the hour of the day, and tables of categories. The rest of the product reads
parts, so no estimator has code for it:

- scores, by numpy alone and to the same bits in a batch as in a row (scorer.py);
- explanations, whose contributions add up to the log-odds (explanation.py);
- thresholds of every policy and out-of-fold scores, through `fit` on other rows (model_fit.py);
- calibrated scores, by the line `history` from the part's log-odds to those of the fraud rate on unfitted rows;
- adaptations, which keep the part and add one for new patterns (adaptation), and their removal;
- the gate, comparison with the champion, the drift reference, the archive and its approval.

model.json does not name its estimator: models of two estimators are compared like any two models, and a run that starts
from the champion reads its numbers, whatever fitted them.

What fits: models whose log-odds are a sum of functions of one input each. These are linear and logistic regressions,
scorecards, naive Bayes, and boosted trees of depth one (a table is the sum of an input's stumps). What does not fit:
deeper trees, interactions of inputs, neural networks. They would need a kind of term with several inputs in
model_document.py (with a new schema version), part_scorer.py and explanation.py, and a rule for how such a term is
divided among its inputs.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model.model_parts import Part
from ml.model.training_settings import Training


class Fitted(Protocol):
    """What an estimator has fitted."""

    @property
    def synthetic_rows(self) -> int:
        """The number of rows that the fit added to those it was given; 0 without resampling."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the evaluation and the pull request, about what a reviewer would not expect; often none."""

    def part(self) -> Part:
        """The model as plain numbers: a part with the pattern `known` and no recalibration.

        Its log-odds are those of fraud among the fitted rows, synthetic ones included. An input may have no term. A
        category may have no table; a table of one has the log-odds of values that no fitted row had as `other`.
        """


class Estimator(Protocol):
    """A module of this folder. Its settings are those of model.yaml; it need not read all of them.

    With `TAKES_STORED_ROWS = True`, `X` may also be rows in files, which are read by column or by block
    (ml/model/stored_rows.py) and need not fit in memory. Without it they are read into a frame first.
    """

    def fit(self, training: Training, X: pd.DataFrame, y: NDArray[np.int8]) -> Fitted:
        """Fits a model to labelled rows. Reads nothing else: no file, no clock, no random source without the seed.

        estimator.py calls it, and sees to what every estimator needs: both labels occur, and linear algebra runs on one
        thread. The same rows in the same order must give the same bits, on any number of cores and however the frame
        holds them.

        Args:
            X: the columns `training.columns.inputs`, by name, perhaps among others: finite numbers, and categories as
                text. It is the caller's, and may be large: it is neither changed nor copied whole.
            y: labels, 0 or 1, one per row of `X`.

        Raises:
            ValueError: the rows or the settings allow no model; the text says which, with the values and what to do.
        """
