"""Trains the plain way in .venv-bench, a process for each run: reads, bins, scales, resamples, fits, sets a threshold.

Arguments: the folder of the rows, csv or parquet, SMOTE's ratio. Prints JSON: seconds, processor seconds, recall and
false-positive rate.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet  # noqa: F401 - loaded before the time begins
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from plain_pipeline import (  # type: ignore[import-not-found] # beside this script
    INPUTS,
    LABEL,
    features,
    recall_and_rate,
)
from sklearn.linear_model import LogisticRegression

MAX_FALSE_POSITIVE_RATE = 0.0075


def read(folder: Path, part: str, kind: str) -> tuple[pd.DataFrame, pd.Series]:
    """The inputs and labels of one part."""
    if kind == "csv":
        rows = pd.read_csv(folder / f"{part}.csv")
        return rows[INPUTS], rows[LABEL]
    rows = pd.read_parquet(folder / f"{part}.parquet", columns=[*INPUTS, "label"])
    return rows[INPUTS], rows["label"]


def main() -> int:
    """Prints one line of JSON."""
    warnings.simplefilter("ignore")
    folder, kind, ratio = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    began, worked = time.perf_counter(), time.process_time()
    rows, labels = read(folder, "train", kind)
    held, held_labels = read(folder, "validation", kind)
    model = Pipeline(
        [
            ("features", features()),
            ("resample", SMOTE(sampling_strategy=ratio, k_neighbors=5, random_state=20)),
            ("regression", LogisticRegression(max_iter=1_000)),
        ]
    )
    model.fit(rows, labels)
    scores = model.predict_proba(held)[:, 1]
    threshold = np.quantile(scores[held_labels == 0], 1 - MAX_FALSE_POSITIVE_RATE, method="higher")
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}
    print(json.dumps(took | recall_and_rate(scores, held_labels, threshold)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
