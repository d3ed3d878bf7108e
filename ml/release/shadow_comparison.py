"""Compares what two models answered to the same transactions: agreement, alerts, scores, labels. Values only.

Of a transaction that was scored more than once, the last answer counts. Shares have Wilson's interval. Labels are those
that training would count, so that both models are judged by the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.aws.capture.captured_requests import CapturedRequest
from ml.aws.shadow_store import CopyAnswer
from ml.model import metrics

CELLS = ("both", "challenger_only", "champion_only", "neither")
"""Which of the two alerts."""
LISTED = 50
"""Transactions that are listed of each cell in which the models differ."""
SIGNIFICANCE = 0.05
_ID_CHARS = 80
UNKNOWN = -1


@dataclass(frozen=True, kw_only=True)
class ComparedRows:
    """The transactions that both models scored, one row each. `labels` is 1 for fraud, 0 for none, -1 if unknown."""

    event_ids: list[str | None]
    amounts: NDArray[np.float64]
    champion_scores: NDArray[np.float64]
    champion_alerts: NDArray[np.bool_]
    scores: NDArray[np.float64]
    alerts: NDArray[np.bool_]
    labels: NDArray[np.int8]
    repeated: int
    """Rows whose transaction was scored again later."""
    undecided: int
    """Rows that one of the models gave no decision for."""

    def __len__(self) -> int:
        return len(self.event_ids)

    @classmethod
    def of(
        cls, requests: Sequence[CapturedRequest], answers: Mapping[str, CopyAnswer], labels: Mapping[str, int]
    ) -> ComparedRows:
        """The rows of `requests`, oldest first, that have an answer. `labels` are by event id."""
        rows: dict[str | tuple[str, int], tuple[Any, ...]] = {}
        repeated = undecided = 0
        for request in requests:
            answer = answers[request.id]
            if answer.status != 200:
                continue
            for place, (row, score, decision) in enumerate(
                zip(request.rows, answer.scores, answer.decisions, strict=True)
            ):
                if -1 in (row.decision, decision) or not math.isfinite(row.score):
                    undecided += 1
                    continue
                key = row.event_id if row.event_id is not None else (request.id, place)
                repeated += key in rows
                label = labels.get(row.event_id, UNKNOWN) if row.event_id is not None else UNKNOWN
                rows[key] = (row.event_id, row.amount, row.score, row.decision, score, decision, label)
        columns = list(zip(*rows.values(), strict=True)) or [()] * 7
        return cls(
            event_ids=list(columns[0]),
            amounts=np.array(columns[1], dtype=np.float64),
            champion_scores=np.array(columns[2], dtype=np.float64),
            champion_alerts=np.array(columns[3], dtype=np.bool_),
            scores=np.array(columns[4], dtype=np.float64),
            alerts=np.array(columns[5], dtype=np.bool_),
            labels=np.array(columns[6], dtype=np.int8),
            repeated=repeated,
            undecided=undecided,
        )

    def cells(self) -> dict[str, NDArray[np.bool_]]:
        """The rows of each cell, by its name."""
        champion, challenger = self.champion_alerts, self.alerts
        masks = (champion & challenger, ~champion & challenger, champion & ~challenger, ~champion & ~challenger)
        return dict(zip(CELLS, masks, strict=True))


def figures(rows: ComparedRows, *, rows_a_day: float) -> dict[str, Any]:
    """The figures of the comparison, as its document has them.

    Args:
        rows_a_day: the transactions of production on a day, of which these are a sample.
    """
    cells = rows.cells()
    return {
        "rows": len(rows),
        "repeated_rows": rows.repeated,
        "rows_without_decision": rows.undecided,
        "agreement": _agreement(rows, cells),
        "alerts_a_day": {
            name: _scaled(metrics.rate(int(alerts.sum()), len(rows), "no rows"), rows_a_day)
            for name, alerts in (("champion", rows.champion_alerts), ("challenger", rows.alerts))
        },
        "scores": _score_figures(rows),
        "different": {name: _listed(rows, cells[name]) for name in CELLS[1:3]},
    }


def label_figures(rows: ComparedRows) -> dict[str, Any]:
    """What the known labels say of each cell, and of each model.

    `fraud_amount` is the sum of the amounts of known frauds. `p_value` is that of the exact McNemar test on the frauds
    that one model alone alerts on; None if there is none.
    """
    fraud, legitimate = rows.labels == 1, rows.labels == 0
    cells = rows.cells()
    by_cell = {
        name: {
            "rows": int(cell.sum()),
            "labelled": int((cell & (fraud | legitimate)).sum()),
            "frauds": int((cell & fraud).sum()),
            "fraud_amount": _sum(rows.amounts[cell & fraud]),
        }
        for name, cell in cells.items()
    }
    models = {
        name: {
            "recall": metrics.rate(int((alerts & fraud).sum()), int(fraud.sum()), "no fraud is known").to_dict(),
            "precision": metrics.rate(
                int((alerts & fraud).sum()), int((alerts & (fraud | legitimate)).sum()), "no alert has a label"
            ).to_dict(),
            "fraud_amount": _sum(rows.amounts[alerts & fraud]),
        }
        for name, alerts in (("champion", rows.champion_alerts), ("challenger", rows.alerts))
    }
    return {"cells": by_cell, **models, "p_value": _mcnemar(by_cell)}


def _agreement(rows: ComparedRows, cells: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    same = int((rows.alerts == rows.champion_alerts).sum())
    counts = {name: metrics.rate(int(cell.sum()), len(rows), "no rows").to_dict() for name, cell in cells.items()}
    return {**counts, "same_decision": metrics.rate(same, len(rows), "no rows").to_dict()}


def _scaled(share: metrics.Estimate, rows_a_day: float) -> dict[str, float | None]:
    ends = {"value": share.value, "low": share.low, "high": share.high}
    return {name: None if end is None else end * rows_a_day for name, end in ends.items()}


def _score_figures(rows: ComparedRows) -> dict[str, float | None]:
    """Differences challenger minus champion. The correlation is None where a model's scores are all equal."""
    if not len(rows):
        return dict.fromkeys(("mean_difference", "median_absolute", "p99_absolute", "largest", "rank_correlation"))
    from scipy import stats

    difference = rows.scores - rows.champion_scores
    absolute = np.abs(difference)
    varied = np.ptp(rows.scores) > 0 and np.ptp(rows.champion_scores) > 0
    return {
        "mean_difference": float(difference.mean()),
        "median_absolute": float(np.median(absolute)),
        "p99_absolute": float(np.quantile(absolute, 0.99)),
        "largest": float(absolute.max()),
        "rank_correlation": float(stats.spearmanr(rows.scores, rows.champion_scores).statistic) if varied else None,
    }


def _listed(rows: ComparedRows, cell: NDArray[np.bool_]) -> dict[str, Any]:
    """The rows of a cell with the largest differences between the scores, and how many more there are."""
    places = np.flatnonzero(cell)
    order = places[np.argsort(-np.abs(rows.scores - rows.champion_scores)[places], kind="stable")]
    listed = [
        {
            "event_id": _shortened(rows.event_ids[place]),
            "amount": _finite(rows.amounts[place]),
            "champion_score": float(rows.champion_scores[place]),
            "challenger_score": float(rows.scores[place]),
        }
        for place in order[:LISTED].tolist()
    ]
    return {"listed": listed, "more": max(0, len(order) - LISTED)}


def _shortened(event_id: str | None) -> str | None:
    """An id is text of somebody else: a long one is cut."""
    return event_id if event_id is None or len(event_id) <= _ID_CHARS else f"{event_id[:_ID_CHARS]}…"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _sum(amounts: Iterable[float]) -> float | None:
    """The sum of the amounts; None if one of them is not known."""
    return _finite(math.fsum(amounts))


def _mcnemar(cells: Mapping[str, Mapping[str, Any]]) -> float | None:
    one, other = (int(cells[name]["frauds"]) for name in CELLS[1:3])
    if not one + other:
        return None
    from scipy import stats

    return float(stats.binomtest(one, one + other).pvalue)
