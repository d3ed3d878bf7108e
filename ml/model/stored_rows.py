"""Rows that are read by column or by block, so that they need not be in memory as a whole.

Statistics of a column need all its values; a fit and a score need all columns of some rows. Neither needs all columns
of all rows. Functions that take `Rows` work alike on a data frame and on rows in files (ml/steps/prepared_rows.py), and
give the same bits. Reads no file itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model.scorer import Scorer
from ml.model.thread_map import thread_map

R = TypeVar("R")
BLOCK_ROWS = 65_536
"""Rows of a block: some 16 MB of thirty columns."""


class StoredRows(Protocol):
    """Rows in blocks, in order."""

    @property
    def block_rows(self) -> Sequence[int]:
        """The number of rows of each block."""

    def __len__(self) -> int:
        """The number of rows."""

    def __getitem__(self, name: str) -> pd.Series[Any]:
        """One column of all rows."""

    def block(self, number: int, names: Sequence[str]) -> pd.DataFrame:
        """Some columns of the rows of one block."""

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Some columns of all rows."""


Rows = pd.DataFrame | StoredRows


def frame(rows: Rows, names: Sequence[str]) -> pd.DataFrame:
    """Some columns of all rows, in memory."""
    return rows[list(names)] if isinstance(rows, pd.DataFrame) else rows.frame(names)


def blocks(rows: Rows, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Some columns of each block of rows, in order."""
    if isinstance(rows, pd.DataFrame):
        for start in range(0, len(rows), BLOCK_ROWS):
            yield rows.iloc[start : start + BLOCK_ROWS][list(names)]
        return
    for number in range(len(rows.block_rows)):
        yield rows.block(number, names)


def scores(scorer: Scorer, rows: Rows) -> NDArray[np.float64]:
    """The score of each row."""
    made = _of_blocks(rows, scorer, scorer.score)
    return np.concatenate([np.empty(0), *made])


def log_odds_and_scores(scorer: Scorer, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What `log_odds` and `scores` give, in one pass."""
    made = _of_blocks(rows, scorer, lambda matrix: (scorer.log_odds(matrix).T, scorer.score(matrix)))
    found = np.concatenate([np.empty((len(scorer.document.parts), 0)), *(odds for odds, _ in made)], axis=1).T
    return found, np.concatenate([np.empty(0), *(own for _, own in made)])


def log_odds(scorer: Scorer, rows: Rows) -> NDArray[np.float64]:
    """The log-odds of each row in each part of the model, (rows, parts)."""
    made = _of_blocks(rows, scorer, lambda matrix: scorer.log_odds(matrix).T)
    return np.concatenate([np.empty((len(scorer.document.parts), 0)), *made], axis=1).T


def _of_blocks(rows: Rows, scorer: Scorer, call: Callable[[NDArray[Any]], R]) -> list[R]:
    """What `call` makes of each block's matrix."""
    if isinstance(rows, pd.DataFrame):
        return [call(scorer.matrix(block)) for block in blocks(rows, scorer.inputs)]
    return thread_map(
        lambda number: call(scorer.matrix(rows.block(number, scorer.inputs))), range(len(rows.block_rows))
    )
