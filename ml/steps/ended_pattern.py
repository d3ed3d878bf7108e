"""Finds the frauds of a pattern that has ended, which a run of kind `drop` leaves out of its training rows.

Such a run chooses a threshold on rows from before the end, and describes them in the drift reference. The frauds of the
champion's part for new patterns have stopped: with them, the reference would state a rate of fraud, and a recall, that
no later row has. Never leaves out a legitimate row or a row of the test part.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit

from ml.model import explanation
from ml.model.artifact import Artifact
from ml.model.model_document import IDENTITY, NEW
from ml.model.scorer import Scorer
from ml.steps.job_runner import StepFailed
from ml.steps.prepared_files import LABEL

_TINY = 1e-12  # keeps the log-odds of a threshold of 0 or 1 finite


def known_threshold(scorer: Scorer) -> float:
    """The score of the unadapted part for known patterns from which it reaches the threshold of `scorer` by itself.

    With it in place of both parts, every alert is one that `scorer` raises too: only alerts that need the other part
    are gone. The policy alone would fill the place of those alerts with others, and hide what dropping the part gains.
    """
    line = scorer.document.parts[0].recalibration or IDENTITY
    limit = min(max(scorer.threshold.score, _TINY), 1 - _TINY)
    return float(expit((logit(limit) - line.intercept) / line.slope))


def still_valid(champion: Artifact, rows: pd.DataFrame) -> NDArray[np.bool_]:
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
    follows = explanation.patterns(scorer.log_odds(rows[list(scorer.inputs)].to_numpy())) == NEW
    return np.asarray(~(follows & (rows[LABEL].to_numpy() == 1)))
