"""`fraudops explore`: one page about a file of labelled transactions, before any training. Needs no AWS.

Rows that break the data contract are counted and left out; an import would refuse them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml import atomic_file, config
from ml.errors import DataError, FraudopsError
from ml.ingest import data_file
from ml.model import data_contract, features, metrics, time_units
from ml.model.data_contract import EVENT_TIME
from ml.model.training_settings import Binning, Columns
from ml.report import data_page, data_plots
from ml.report import data_statistics as statistics
from ml.report.data_page import DataSet

_LEVELS, _CORRELATED, _PAIRS = 20, 0.5, 15


@dataclass(frozen=True, kw_only=True)
class ExplorationReport:
    """Where the page is, and its first figures. `separability` is that of `best_column`, 0.5 to 1."""

    path: str
    rows: int
    frauds: int
    invalid_rows: int
    duplicates: int
    best_column: str
    separability: float


def explore(root: Path, path: str, out: Path) -> ExplorationReport:
    """Writes the page of the file at `path` (local or s3://) to `out`, with the columns that data.yaml names.

    Raises:
        ConfigError: model-config/ is invalid.
        DataError: the file cannot be read, or has no valid row of one class.
        FraudopsError: `out` cannot be written.
    """
    data, training = config.load_data(root), config.load_settings(root).training
    content = data_file.read(path, data.to_columns(), renamed=data.renamed)
    bad = content.bad
    faults = Counter({fault.kind: 0 for fault in content.faults})
    for fault in content.faults:
        faults[fault.kind] += len(fault.rows)
    found = data_set(path, content.frame[~bad].reset_index(drop=True), training.columns, training.binning, dict(faults))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(out) as draft:
            draft.write_text(data_page.page(found), encoding="utf-8")
    except OSError as error:
        raise FraudopsError(f"{out}: cannot be written ({error.strerror}); choose another path with --out") from error
    return ExplorationReport(
        path=str(out),
        rows=found.rows,
        frauds=int(found.frauds.count or 0),
        invalid_rows=int(bad.sum()),
        duplicates=found.duplicates,
        best_column=found.best.name,
        separability=found.best.separability.strength,
    )


def data_set(
    path: str, frame: pd.DataFrame, columns: Columns, binning: Binning, faults: dict[str, int] | None = None
) -> DataSet:
    """The figures and pictures of valid rows.

    Raises:
        DataError: there is no row of one class.
    """
    frauds: NDArray[np.bool_] = frame[columns.label].to_numpy(dtype=np.float64) == 1
    if not frauds.any() or frauds.all():
        missing = "frauds" if not frauds.any() else "legitimate transactions"
        raise DataError(f"{path}: has no valid {missing} in column {columns.label}; a page compares both classes")
    names = [name for name in columns.numbers if name != columns.clock]
    values = {name: frame[name].to_numpy(dtype=np.float64) for name in names}
    shown = [statistics.column(name, values[name], frauds) for name in names]
    matrix = statistics.correlations(np.column_stack([values[name][~frauds] for name in names]))
    pictures = [
        ("Densities of both classes, with the column's separability", data_plots.distributions(shown, values, frauds)),
        ("Correlations among legitimate rows", data_plots.correlations(names, matrix)),
    ]
    hours, amounts, binned = [], [], None
    if columns.time is not None:
        seconds = frame[columns.time.column].to_numpy(dtype=np.float64)
        per_second = time_units.per_second(columns.time_unit)
        hours = statistics.hour_bins(features.hour_of_day(seconds, per_second), frauds)
        pictures.append(("Rows and share of frauds by hour of the day", data_plots.rates("Hours of the day", hours)))
    if columns.amount is not None and features.has_amount_bins(columns, binning):
        amounts = statistics.amount_bins(values[columns.amount], frauds, binning)
        binned = statistics.binned_separability(values[columns.amount], frauds, binning)
        pictures.append(("Rows and share of frauds by amount", data_plots.rates("Bins of the amount", amounts)))
    times = frame.get(EVENT_TIME)
    return DataSet(
        path=path,
        rows=len(frame),
        frauds=metrics.rate(int(frauds.sum()), len(frame), "no row"),
        start=None if times is None else f"{times.min():%Y-%m-%d %H:%M}",
        end=None if times is None else f"{times.max():%Y-%m-%d %H:%M}",
        faults=faults or {},
        duplicates=data_contract.duplicates(frame),
        columns=shown,
        amount=columns.amount,
        amounts=amounts,
        binned=binned,
        hours=hours,
        categories={
            name: statistics.level_bins(frame[name].tolist(), frauds, shown=_LEVELS) for name in columns.categories
        },
        correlated=_correlated(names, matrix),
        pictures=pictures,
    )


def _correlated(names: list[str], matrix: NDArray[np.float64]) -> list[tuple[str, str, float]]:
    pairs = [
        (names[one], names[other], float(matrix[one, other]))
        for one in range(len(names))
        for other in range(one + 1, len(names))
        if abs(matrix[one, other]) >= _CORRELATED
    ]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))[:_PAIRS]
