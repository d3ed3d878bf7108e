"""Times of a peer for one row and for a batch, in .venv-bench: the scikit-learn pipeline, or ONNX Runtime.

Arguments: pipeline or onnx, model.json, rows.npy, the number of single rows. Prints JSON with the times and versions,
each with the number of threads that is fastest, and the largest difference of a score to those of the project
(scores.npy beside the rows).
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from plain_pipeline import (  # type: ignore[import-not-found] # beside this script
    FEATURES,
    INPUTS,
    SECONDS_PER_DAY,
    SECONDS_PER_HOUR,
    same_model,
)
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

REPEATS = 5  # of the batch, as in score_ours.py


class Way(NamedTuple):
    """A way to score: one row of floats, and rows in memory, float64[rows, inputs]."""

    one: Callable[[list[float]], Any]
    batch: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    name: str


def pipeline(model: Pipeline) -> list[Way]:
    """The pipeline on data frames, as its users call it."""

    def one(row: list[float]) -> Any:
        return model.predict_proba(pd.DataFrame([row], columns=INPUTS))[0, 1]

    def batch(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = model.predict_proba(pd.DataFrame(rows, columns=INPUTS))[:, 1]
        return scores

    return [Way(one, batch, f"scikit-learn {version('scikit-learn')} Pipeline")]


def onnx(model: Pipeline) -> list[Way]:
    """The pipeline as ONNX in single precision, which its bins need, with one thread and with one for each core.

    The logarithm and the hour of day are made by Python: the converter knows no Python functions.
    """
    from skl2onnx import to_onnx  # type: ignore[import-not-found] # of another environment

    names = [*FEATURES, "log_amount", "Amount", "hour"]
    index = {name: at for at, name in enumerate(names)}
    found = model["features"].named_transformers_
    fitted = {
        "features": (found["features"], [index[name] for name in FEATURES]),
        "amount": (found["amount"][-1], [index["log_amount"]]),
        "amount_bin": (found["amount_bin"], [index["Amount"]]),
        "hour_bin": (found["hour_bin"][-1], [index["hour"]]),
    }
    transform = ColumnTransformer([(name, *each) for name, each in fitted.items()])
    transform.fit(np.abs(np.random.default_rng(0).normal(size=(500, len(names)))) * 5)
    transform.transformers_ = [(name, *each) for name, each in fitted.items()]
    for each, _ in fitted.values():
        vars(each).pop("feature_names_in_", None)
    whole = Pipeline([("features", transform), ("regression", model["regression"])])
    options = {id(model["regression"]): {"zipmap": False}}
    graph = to_onnx(whole, np.zeros((1, len(names)), np.float32), options=options, target_opset=18)
    return [_session(graph.SerializeToString(), threads) for threads in sorted({1, os.cpu_count() or 1})]


def _session(graph: bytes, threads: int) -> Way:
    import onnxruntime  # type: ignore[import-not-found] # of another environment

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    wanted = [session.get_outputs()[1].name]

    def one(row: list[float]) -> Any:
        hour = row[0] % SECONDS_PER_DAY // SECONDS_PER_HOUR
        values = np.array([[*row[1:-1], math.log1p(row[-1]), row[-1], hour]], np.float32)
        return session.run(wanted, {"X": values})[0][0, 1]

    def batch(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        amounts, hours = rows[:, -1], rows[:, 0] % SECONDS_PER_DAY // SECONDS_PER_HOUR
        values = np.column_stack([rows[:, 1:-1], np.log1p(amounts), amounts, hours]).astype(np.float32)
        scores: NDArray[np.float64] = session.run(wanted, {"X": values})[0][:, 1]
        return scores

    return Way(one, batch, f"ONNX Runtime {version('onnxruntime')}, {threads} thread{'s' * (threads > 1)}")


def main() -> int:
    """Prints one line of JSON."""
    kind, model, rows_file, singles = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    rows, answers = np.load(rows_file), []
    known, single = np.load(rows_file.with_name("scores.npy")), rows[:singles].tolist()
    for way in {"pipeline": pipeline, "onnx": onnx}[kind](same_model(model)):
        way.one(single[0])
        way.batch(rows[:100])
        taken = []
        for row in single:
            began = time.perf_counter()
            way.one(row)
            taken.append(time.perf_counter() - began)
        batches = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            scores = way.batch(rows)
            batches.append(time.perf_counter() - began)
        difference = float(np.abs(scores - known).max())
        answers.append((statistics.median(taken), min(batches), difference, way.name))
    row_best, batch_best = min(answers, key=itemgetter(0)), min(answers, key=itemgetter(1))
    answer = {
        "row": row_best[0],
        "row_name": row_best[3],
        "batch": batch_best[1],
        "batch_name": batch_best[3],
        "difference": max(each[2] for each in answers),
    }
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
