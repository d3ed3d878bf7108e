"""Reads the lake's labels: one for each event, from corrections, late labels and two channels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.steps import id_index
from ml.steps.job_runner import StepFailed
from ml.steps.prepared_files import CHANNEL, ID, KNOWN, LABEL

_TIMES = pa.timestamp("us", tz="UTC")
_ANALYST, _CHARGEBACK = "analyst", "chargeback"


def read(dataset: Path) -> pa.Table:
    """Reads event_id and label, one row per event with a label of the chargeback channel.

    In each channel the label known last counts, and fraud if two have the same time; the event is a fraud if either
    channel says so. Events that only analysts have labelled are left out: they were alerts, and a model trained on them
    would take what alerts reveal for the whole. A file without the column `channel` holds chargeback labels.

    Raises:
        StepFailed: there is no file, a column is missing, or a label or a channel has another value.
    """
    return joined([read_file(file, dataset) for file in files_of(dataset)])


def files_of(dataset: Path) -> list[Path]:
    """The files of labels.

    Raises:
        StepFailed: there is none.
    """
    files = sorted((dataset / "labels").rglob("*.parquet"))
    if not files:
        raise StepFailed(f"{dataset / 'labels'}: no Parquet file; training needs labels")
    return files


def joined(found: Sequence[tuple[pa.Table, pa.Table]]) -> pa.Table:
    """event_id and label, one row per event with a label of the chargeback channel, from what `read_file` gives."""
    whole, findings = (_latest(pa.concat_tables([parts[place] for parts in found])) for place in (0, 1))
    if not len(findings):
        return whole
    place = id_index.places(whole[ID], findings[ID])
    finding = findings[LABEL].take(pa.array(place, mask=place < 0))
    return whole.set_column(1, LABEL, pc.max_element_wise(whole[LABEL], finding))


def read_file(file: Path, dataset: Path) -> tuple[pa.Table, pa.Table]:
    """The labels of one file, without the channel: those of chargebacks, and the findings of analysts."""
    types = pa.schema([(ID, pa.string()), (LABEL, pa.int8()), (KNOWN, _TIMES), (CHANNEL, pa.string())])
    name, names = file.relative_to(dataset), pq.read_schema(file).names
    missing = [column for column in types.names if column not in names and column != CHANNEL]
    if missing:
        raise StepFailed(f"{name}: column {', '.join(missing)} is missing")
    table = pq.read_table(file, columns=[column for column in types.names if column in names])
    if CHANNEL not in names:
        table = table.append_column(CHANNEL, pa.array([_CHARGEBACK]).take(pa.array(np.zeros(len(table), np.int8))))
    try:
        table = table.select(types.names).cast(types)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise StepFailed(f"{name}: a column has another type than the lake's: {error}") from error
    if not pc.all(pc.is_in(table[LABEL], value_set=pa.array([0, 1], pa.int8())), min_count=0).as_py():
        raise StepFailed(f"{dataset / 'labels'}: labels must be 0 or 1")
    if not pc.all(pc.is_in(table[CHANNEL], value_set=pa.array([_ANALYST, _CHARGEBACK])), min_count=0).as_py():
        raise StepFailed(f"{dataset / 'labels'}: channels must be {_ANALYST} or {_CHARGEBACK}")
    by_analyst = pc.equal(table[CHANNEL], _ANALYST)
    table = table.select([ID, LABEL, KNOWN])
    return table.filter(pc.invert(by_analyst)), table.filter(by_analyst)


def _latest(labels: pa.Table) -> pa.Table:
    """event_id and label of the label known last, one row per event."""
    several = id_index.shared(id_index.text_hashes(labels[ID]))
    once = np.ones(len(labels), dtype=np.bool_)
    once[several] = False
    corrected = labels.take(pa.array(several)).sort_by([(KNOWN, "descending"), (LABEL, "descending")])
    kept = np.ones(len(corrected), dtype=np.bool_)
    kept[id_index.repeats(corrected[ID])[0]] = False
    last = corrected.filter(pa.array(kept))
    return (labels if once.all() else pa.concat_tables([labels.filter(pa.array(once)), last])).select([ID, LABEL])
