"""`fraudops score` and `fraudops evaluate`: use a model archive on a file, offline.

Neither touches the network, the registry or Git. A file must meet the same data contract as an import. If one row
breaks it, nothing is scored: partial output could be mistaken for a complete one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ml import atomic_file
from ml.errors import ArtifactError, DataError, UsageError
from ml.ingest import data_file, event_times, quarantine, table_file
from ml.model import artifact, metrics
from ml.model.data_contract import EVENT_ID, EVENT_TIME
from ml.model.model_document import ModelDocument
from ml.model.scorer import Scorer
from ml.model.training_settings import Columns, TimeColumn

ALERT_BUDGET = 0.01
"""The budget of `recall_at_alert_budget` if neither the caller nor the model's threshold policy sets one."""
LABEL = "Class"
_BOOTSTRAP_SEED = 0  # intervals of the same file and model are the same figures


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """The result of `score`: `rows` were scored, and `alerts` of them reached the model's `threshold`.

    `other_values` counts, by category, the rows whose value has no coefficient of its own in the model.
    """

    model: str
    artifact_sha256: str
    model_version: str
    data: str
    out: str
    rows: int
    alerts: int
    threshold: float
    other_values: Mapping[str, int]


def score(
    model: Path, data: Path, out: Path, *, calibrated: bool = False, renamed: Mapping[str, str] | None = None
) -> ScoreReport:
    """Scores every row of the file `data` with the archive `model` and writes `out`, all of it or nothing.

    Args:
        data: CSV, gzipped CSV or Parquet with the model's inputs in any order; a label column, event_id,
            event_time and others may be present too.
        out: .csv or .parquet; one row per row of `data`, in its order: event_id (or, where `data` has none, row,
            counted from 1), score, decision (1 = alert).
        calibrated: adds the column `fraud_rate`, the fraud rate to expect among rows like this one.
        renamed: columns that the file calls otherwise than the model: their name in it, and the model's.

    Raises:
        ArtifactError: the archive is damaged, tampered with or of an unknown schema.
        UsageError: `out` has another ending, no folder, or is the file itself.
        DataError: the file breaks the contract, or `out` cannot be written.
    """
    write = _writer(out, data)
    archive = load(model)
    frame = _rows(data, archive.model, label=None, renamed=renamed or {})
    inputs = archive.model.matrix(frame)
    scores = archive.model.score(inputs)
    decisions = archive.model.decide(scores)
    ids = (
        pa.array(frame[EVENT_ID], pa.string())
        if EVENT_ID in frame
        else pa.array(np.arange(1, len(frame) + 1, dtype=np.int64))
    )
    name = EVENT_ID if EVENT_ID in frame else "row"
    table = pa.table({name: ids, "score": pa.array(scores), "decision": pa.array(decisions)})
    write(table.append_column("fraud_rate", pa.array(archive.model.calibrated(inputs))) if calibrated else table)
    return ScoreReport(
        model=str(model),
        artifact_sha256=archive.sha256,
        model_version=archive.model.version,
        data=str(data),
        out=str(out),
        rows=len(frame),
        alerts=int(decisions.sum()),
        threshold=archive.model.threshold.score,
        other_values=_other_values(archive.model, inputs),
    )


def evaluate(
    model: Path,
    data: Path,
    *,
    label: str | None = None,
    alert_budget: float | None = None,
    renamed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Measures the archive `model` on the labelled file `data`, at the model's threshold.

    Args:
        data: as for `score`, with a column of 0 (legitimate) and 1 (fraud).
        label: that column's name; if None, it is the one column that is no input of the model.
        renamed: as for `score`; it may have the label too.
        alert_budget: share of rows for `recall_at_alert_budget`; if None, that of the model's policy, or 0.01.

    Returns:
        The keys of evaluation.json that one file can answer: metrics with intervals, confusion, rows, positives,
        threshold, alert_budget, curves, provenance, artifact; and `data`.

    Raises:
        ArtifactError: the archive is damaged, tampered with or of an unknown schema.
        DataError: the file breaks the contract or has no labels.
    """
    archive = load(model)
    scorer = archive.model
    given = renamed or {}
    name = label or _label(data_file.product_names(_names(data, scorer.document), given), scorer.document)
    if name is None:
        raise DataError(
            f"{data}: has no label column, neither {LABEL} nor exactly one beside the model's inputs; "
            f"add one of 0 and 1, or use `fraudops score`"
        )
    frame = _rows(data, scorer, label=name, renamed=given)
    labels = frame[name].to_numpy().astype(np.int8)
    scores = scorer.score(scorer.matrix(frame))
    decisions = scorer.decide(scores)
    limit = scorer.threshold
    if alert_budget is None:
        alert_budget = limit.value if limit.policy == "alert_budget" else ALERT_BUDGET
    figures = metrics.measure(labels, scores, decisions, alert_budget=alert_budget, seed=_BOOTSTRAP_SEED)
    counts = metrics.Confusion.of(labels, decisions)
    return {
        "schema": 1,
        "metrics": {figure: estimate.to_dict() for figure, estimate in figures.items()},
        "confusion": {
            "true_positives": counts.true_positives,
            "false_positives": counts.false_positives,
            "true_negatives": counts.true_negatives,
            "false_negatives": counts.false_negatives,
        },
        "rows": len(frame),
        "positives": counts.positives,
        "threshold": {"policy": limit.policy, "value": limit.value, "score": limit.score},
        "alert_budget": alert_budget,
        "curves": {"precision_recall": [list(point) for point in metrics.precision_recall_curve(labels, scores)]},
        "provenance": scorer.document.provenance,
        "artifact": {"sha256": archive.sha256, "version": scorer.version, "path": str(model)},
        "data": {"path": str(data), "label": name},
    }


def load(model: Path) -> artifact.Artifact:
    """Reads and verifies the archive at `model`; raises ArtifactError with the reason if it is invalid."""
    try:
        if model.stat().st_size > artifact.MAX_ARCHIVE:  # not read into memory to be refused
            raise ArtifactError(
                f"{model}: must be at most {artifact.MAX_ARCHIVE} bytes; give a model.tar.gz of fraudops"
            )
        return artifact.read(model.read_bytes())
    except FileNotFoundError:
        raise ArtifactError(f"{model}: no such file; give a model.tar.gz, as build/demo/model.tar.gz") from None
    except OSError as error:
        raise ArtifactError(f"{model}: cannot be read ({error.strerror}); give a model.tar.gz") from error
    except artifact.ArtifactInvalid as error:
        raise ArtifactError(f"{model}: {error}. Nothing was scored; fetch the archive again by its digest") from error


def _rows(data: Path, scorer: Scorer, *, label: str | None, renamed: Mapping[str, str]) -> pd.DataFrame:
    """The rows of `data`, all valid, with the column `label` if given; a missing time is derived from event_time."""
    if data.parts[:1] == ("s3:",):
        raise DataError(f"{data}: is in S3, and this works offline; fetch the file and give its path")
    columns = _columns(scorer.document, label)
    content = data_file.read(str(data), columns, renamed=renamed, labelled=label is not None)
    bad = int(content.bad.sum())
    if bad:
        more = f" ({bad} rows break the contract)" if bad > 1 else ""
        raise DataError(
            f"{data}: {quarantine.first_problem(content)}{more}. Nothing was scored; "
            f"correct the file, or quarantine such rows with `fraudops data import --quarantine`"
        )
    frame = content.frame
    event_times.clock_from_event_time(frame, columns)
    return frame


def _columns(model: ModelDocument, label: str | None) -> Columns:
    """The columns that the model takes, and perhaps the label."""
    time = None if model.time is None else TimeColumn(**asdict(model.time))
    return Columns(
        label=label or "",
        time=time,
        amount=model.amount,
        event_id=None,
        entity=None,
        features=tuple(name for name in model.inputs if name not in (model.clock, model.amount, *model.categories)),
        categories=model.categories,
        keep=(),
    )


def _other_values(scorer: Scorer, inputs: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, int]:
    levels = scorer.document.levels
    return {name: int((inputs[:, scorer.inputs.index(name)] == levels[name].other).sum()) for name in levels}


def _label(names: Sequence[str], model: ModelDocument) -> str | None:
    """The only column that is not an input; `Class` if there are several, or if inputs are missing."""
    known = {*model.inputs, EVENT_ID, EVENT_TIME}
    extra = [name for name in names if name not in known]
    if len(extra) == 1 and {*model.inputs} - {*names} <= {model.clock}:
        return extra[0]
    return LABEL if LABEL in extra or not names else None


def _names(data: Path, model: ModelDocument) -> tuple[str, ...]:
    """The column names of the file; none if it cannot be read, which `data_file.read` then reports in detail."""
    try:
        return table_file.column_names(str(data), model.inputs)
    except DataError:
        return ()


def _writer(out: Path, data: Path) -> Callable[[pa.Table], None]:
    """A function that writes a table to `out`; checks `out` first, before anything is scored."""
    if out.suffix not in (".csv", ".parquet"):
        raise UsageError(f"--out must end in .csv or .parquet, which selects the format (got {str(out)!r})")
    if not out.parent.is_dir():
        raise UsageError(
            f"--out cannot be written, there is no folder {out.parent}; create it first (got {str(out)!r})"
        )
    if out.exists() and data.exists() and out.samefile(data):
        raise UsageError(f"--out is the file that is to be scored; give another name (got {str(out)!r})")

    def write(table: pa.Table) -> None:
        try:
            with atomic_file.replacing(out) as draft:
                if out.suffix == ".csv":
                    pyarrow.csv.write_csv(table, draft, pyarrow.csv.WriteOptions(quoting_style="needed"))
                else:
                    pq.write_table(table, draft)
        except OSError as error:
            raise DataError(f"{out}: cannot be written ({error.strerror or error}); choose another path") from error

    return write
