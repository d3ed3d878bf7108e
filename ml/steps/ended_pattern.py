"""Finds the frauds of a pattern that has ended, which a run of kind `drop` leaves out of its training rows.

Such a run chooses a threshold on rows from before the end, and describes them in the drift reference. The frauds of the
champion's part for new patterns have stopped: with them, the reference would state a rate of fraud, and a recall, that
no later row has. Never leaves out a legitimate row or a row of the test part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from ml.model import explanation, stored_rows
from ml.model.artifact import Artifact
from ml.model.model_parts import IDENTITY, NEW
from ml.model.scorer import Scorer
from ml.model.stored_rows import Rows
from ml.steps.job_runner import StepFailed
from ml.steps.prepared_files import LABEL

_TINY = 1e-12  # keeps the log-odds of a threshold of 0 or 1 finite


def threshold_without_part(champion: Scorer, policy: float, legitimate: NDArray[np.float64]) -> float:
    """The threshold of `champion` without its part for new patterns: between the policy's and one that adds no alert.

    The policy's threshold fills all places of the part's alerts with others, which hides in the gate's test what
    dropping the part gains. The score from which the part for known patterns alerts by itself in the champion only
    removes alerts, and leaves most of the policy's false-positive rate unused. The median of the scores between the
    two gives half of the places to others.

    Args:
        champion: the scorer with both parts.
        policy: the threshold that the policy chooses for the scores of the part for known patterns as first fitted.
        legitimate: (rows,) these scores of the legitimate rows that chose `policy`.
    """
    line = champion.document.parts[0].recalibration or IDENTITY
    limit = min(max(champion.threshold.score, _TINY), 1 - _TINY)
    alone = float(expit((logit(limit) - line.intercept) / line.slope))
    between = legitimate[(legitimate >= policy) & (legitimate < alone)]
    return float(np.median(between)) if len(between) else max(policy, alone)


def still_valid(champion: Artifact, rows: Rows) -> NDArray[np.bool_]:
    """Mask of the prepared training `rows` without the frauds that follow the champion's new pattern.

    Raises:
        StepFailed: the champion has no part for new patterns.
    """
    scorer = champion.model
    if NEW not in [part.pattern for part in scorer.document.parts]:
        raise StepFailed(
            f"the champion {champion.sha256} has no part for new patterns, so a run of kind drop has nothing to drop: "
            f"the model that it was requested for no longer serves"
        )
    follows = explanation.patterns(stored_rows.log_odds(scorer, rows)) == NEW
    return np.asarray(~(follows & (rows[LABEL].to_numpy() == 1)))
