"""Seconds that another tool takes for a drift check; drift_speed.py runs it in .venv-bench, where the tools are.

Arguments: the peer, and a .npz with `reference` and `window` (rows, columns). Calculates once for each line that it
reads, so that its rounds alternate with the project's, and prints JSON each time: seconds, versions.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

os.environ |= {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1"}  # neither may phone home

import numpy as np
import pandas as pd

Call = Callable[[], object]


def evidently(reference: pd.DataFrame, window: pd.DataFrame) -> Call:
    """DataDriftPreset with its defaults: the report of all columns."""
    from evidently import Report  # type: ignore[import-not-found] # of another environment
    from evidently.presets import DataDriftPreset  # type: ignore[import-not-found] # of another environment

    report = Report([DataDriftPreset()])
    return lambda: report.run(window, reference)


def nannyml(reference: pd.DataFrame, window: pd.DataFrame) -> Call:
    """Univariate Kolmogorov-Smirnov, one chunk, calculation only: it is fitted on the reference before."""
    from nannyml import UnivariateDriftCalculator  # type: ignore[import-not-found] # of another environment

    calculator = UnivariateDriftCalculator(
        column_names=list(window.columns), continuous_methods=["kolmogorov_smirnov"], chunk_size=len(window)
    )
    calculator.fit(reference)
    return lambda: calculator.calculate(window)


def main() -> int:
    """Calculates once for each line of standard input, and prints one line of JSON for each."""
    warnings.simplefilter("ignore")
    name, path = sys.argv[1:]
    with np.load(path) as arrays:
        frames = [
            pd.DataFrame(arrays[part], columns=[f"f{i}" for i in range(arrays[part].shape[1])])
            for part in ("reference", "window")
        ]
    call = {"evidently": evidently, "nannyml": nannyml}[name](*frames)
    for _ in sys.stdin:
        began = time.perf_counter()
        call()
        seconds = time.perf_counter() - began
        print(json.dumps({"seconds": seconds, "version": version(name), "pandas": pd.__version__}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
