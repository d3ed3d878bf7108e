"""Measures a packed model on the test rows, compares it with the champion, and applies the gate.

Part of the Evaluate step (evaluate.py). Reads and writes no file.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np

from ml.model import (
    champion_comparison,
    dropped_part_checks,
    features,
    gate,
    metrics,
    run_kinds,
    stored_rows,
    threshold_evidence,
)
from ml.model.artifact import Artifact
from ml.model.champion_comparison import Comparison
from ml.model.run_kinds import DROP, THRESHOLD, RunKind
from ml.model.scorer import Scorer
from ml.model.threshold_change import ThresholdChange, ThresholdFigures
from ml.model.training_settings import Settings, Training
from ml.steps import amounts_found, prepared_files, row_kinds
from ml.steps.prepared_files import LABEL
from ml.steps.prepared_rows import PreparedRows

SCHEMA = 2
"""Schema 1 has neither `by_kind` nor `curves.compared`, and earlier evaluations of schema 2 have no `amounts_found`;
readers leave out what is missing."""
_Scored = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]  # scores and decisions (1 = alert)


def measure(
    kind: RunKind, settings: Settings, model: Artifact, champion: Artifact | None, rows: PreparedRows
) -> dict[str, Any]:
    """What evaluation.json (schema 2) says about the test rows."""
    training, scorer = settings.training, model.model
    truth = rows[LABEL].to_numpy()
    scores = stored_rows.scores(scorer, rows)
    decisions = scorer.decide(scores)
    figures = metrics.measure(truth, scores, decisions, alert_budget=training.alert_budget, seed=training.seed)
    counts = metrics.Confusion.of(truth, decisions)
    patterned = champion.model if kind == DROP and champion is not None else scorer
    comparison, both = _compare(settings, rows, (scores, decisions), champion, patterned)
    change, further = None, dropped_part_checks.checks(comparison) if kind == DROP else ()
    if not run_kinds.fits_coefficients(kind) and champion is not None:
        change = _threshold_change(training, rows, scorer, champion)
        further = change.checks() if kind == THRESHOLD else further
    budget = _budget(settings, rows, scores, figures["recall_at_alert_budget"])
    verdict = gate.decide(
        settings.gate,
        figures,
        counts.positives,
        comparison,
        further,
        nothing_fitted=not run_kinds.fits_coefficients(kind),
        question=budget["shortfall"],
    )
    return {
        "schema": SCHEMA,
        "verdict": verdict.to_dict(),
        "metrics": {name: figure.to_dict() for name, figure in figures.items()},
        "confusion": dataclasses.asdict(counts),
        "rows": len(rows),
        "positives": counts.positives,
        "threshold": dataclasses.asdict(scorer.threshold),
        "threshold_change": change.to_dict() if change is not None else None,
        "alert_budget": training.alert_budget,
        "champion": comparison.to_dict(),
        "budget": budget,
        "by_kind": row_kinds.count(
            training.columns,
            both.rows if both is not None else rows,
            both.decisions if both is not None else {"challenger": decisions},
        ),
        "amounts_found": amounts_found.measure(
            (both.rows if both is not None else rows)[LABEL],
            features.amounts(training.columns, both.rows if both is not None else rows),
            both.scored if both is not None else {"challenger": (scores, decisions)},
        ),
        "curves": {
            "precision_recall": metrics.precision_recall_curve(truth, scores),
            "compared": both.curves() if both is not None else None,
        },
    }


@dataclasses.dataclass(frozen=True)
class _Both:
    """Challenger and champion on the rows of their comparison, for people to look at."""

    rows: PreparedRows
    scored: dict[str, _Scored]

    @property
    def decisions(self) -> dict[str, np.ndarray[Any, Any]]:
        return {name: decisions for name, (_, decisions) in self.scored.items()}

    def curves(self) -> dict[str, Any]:
        """The precision-recall curves of both models on the same rows."""
        truth = self.rows[LABEL].to_numpy()
        drawn = {name: metrics.precision_recall_curve(truth, scores) for name, (scores, _) in self.scored.items()}
        return {"rows": len(truth), "positives": int(truth.sum()), **drawn}


def _budget(
    settings: Settings, rows: PreparedRows, scores: np.ndarray[Any, Any], recall: metrics.Estimate
) -> dict[str, Any]:
    """What other budgets would alert, find and miss, and whether a person must decide because this one is too small."""
    training, times = settings.training, prepared_files.times(rows)
    days = float((times.max() - times.min()) / np.timedelta64(1, "D"))
    measured = (scores, rows[LABEL], features.amounts(training.columns, rows))
    needed = threshold_evidence.least(*measured, days=days, suffices=partial(gate.recall_suffices, settings.gate))
    wanted = training.min_recall_at_alert_budget
    limit = threshold_evidence.attainable(int(rows[LABEL].sum()), len(rows), training.alert_budget)
    options = threshold_evidence.options(
        *measured,
        days=days,
        alert_shares=sorted({*threshold_evidence.ALERT_SHARES, training.alert_budget}),
    )
    return {
        "shortfall": threshold_evidence.shortfall(recall, wanted, needed, limit),
        "exceeded": limit < wanted,
        "needed": needed.to_dict() if needed is not None else None,
        "days": days,
        "options": [option.to_dict() for option in options],
    }


def _threshold_change(training: Training, rows: PreparedRows, model: Scorer, champion: Artifact) -> ThresholdChange:
    """The champion and the model that has its coefficients, or those of one part, each with its own threshold."""
    truth, amounts = rows[LABEL].to_numpy(), features.amounts(training.columns, rows)
    before, after = (
        ThresholdFigures.of(scorer.threshold.score, stored_rows.scores(scorer, rows), truth, amounts)
        for scorer in (champion.model, model)
    )
    return ThresholdChange(champion=before, new=after, policy=training.threshold)


def _compare(
    settings: Settings, rows: PreparedRows, challenger: _Scored, champion: Artifact | None, patterned: Scorer
) -> tuple[Comparison, _Both | None]:
    """The comparison with the champion, and both models on its rows if it was possible.

    `patterned` is the one of the two that tells known from new patterns.
    """
    if champion is None:
        return champion_comparison.NO_CHAMPION, None
    absent = [name for name in champion.model.inputs if not _has(rows, name, champion)]
    if absent:
        missing = Comparison(
            status="not possible",
            reason=(
                f"Comparison with the champion is not possible: these transactions lack its inputs {', '.join(absent)}."
            ),
            cause="missing inputs",
            artifact_sha256=champion.sha256,
        )
        return missing, None
    times = prepared_files.times(rows).astype(np.int64)
    unseen = champion_comparison.unseen(times, champion.baseline["fitted"])
    common = rows.where(unseen)
    scores = stored_rows.scores(champion.model, common)
    amounts = features.amounts(settings.training.columns, common)
    slices = {} if amounts is None else champion_comparison.amount_bands(amounts)
    slices |= champion_comparison.patterns(stored_rows.log_odds(patterned, common))
    scored: dict[str, _Scored] = {
        "challenger": (challenger[0][unseen], challenger[1][unseen]),
        "champion": (scores, champion.model.decide(scores)),
    }
    compared = champion_comparison.compare(
        common[LABEL],
        **scored,
        rule=settings.gate.challenger,
        seed=settings.training.seed,
        artifact_sha256=champion.sha256,
        slices=slices,
    )
    return compared, _Both(common, scored) if compared.status == "compared" else None


def _has(rows: PreparedRows, name: str, champion: Artifact) -> bool:
    """Whether the rows have the input `name` of the champion, as text if it is a category there, else as numbers."""
    text = name in champion.model.document.categories
    return name in rows.columns and rows.is_text(name) == text
