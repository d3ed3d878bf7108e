"""Times of the project's scorer for one row and for a batch, and of a pass over the batch's memory.

Arguments: model.json, rows.npy, a file for the scores, the number of single rows. Prints JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from ml.model.scorer import Scorer

REPEATS = 5  # of the batch; the shortest time counts, because other work only lengthens it


def main() -> int:
    """Prints one line of JSON."""
    model, rows_file, scores_file, singles = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    scorer, rows = Scorer.from_json(model.read_bytes()), np.load(rows_file)
    single = rows[:singles].tolist()
    scorer.score(rows[:100])
    taken = []
    for row in single:
        began = time.perf_counter()
        scorer.score_row(row)
        taken.append(time.perf_counter() - began)
    batches, passes = [], []
    for _ in range(REPEATS):
        began = time.perf_counter()
        scores = scorer.score(rows)
        batches.append(time.perf_counter() - began)
        began = time.perf_counter()
        rows.sum()
        passes.append(time.perf_counter() - began)
    np.save(scores_file, scores)
    print(json.dumps({"row": statistics.median(taken), "batch": min(batches), "pass": min(passes)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
