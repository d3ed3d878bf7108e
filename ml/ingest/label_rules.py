"""Marks the values of a label file that break the contract of labels. Reads nothing and refuses nothing.

A label has the columns `event_id`, `label`, `known_at` and optionally `channel`; model-config/training/data.yaml says
what files call them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml import config
from ml.ingest import event_times
from ml.ingest.event_times import Dating
from ml.model import time_units
from ml.model.data_contract import MAX_ID_LENGTH, Fault

EVENT_ID, LABEL, KNOWN_AT, CHANNEL = "event_id", "label", "known_at", "channel"
"""The columns of a label in the lake."""


def layout_problem(names: Sequence[str], columns: config.LabelColumns) -> str | None:
    """What is wrong with a label file whose columns are `names`, in one phrase, or None."""
    counts = Counter(names)
    channel = [] if columns.channel.column is None else [columns.channel.column]
    twice = [name for name in (*columns.required, *channel) if counts[name] > 1]
    if twice:
        return f"{twice[0]!r} named more than once; name each column once"
    missing = [name for name in columns.required if name not in counts]
    if not missing:
        return None
    of_several = f", and {channel[0]} if the labels of a file have several" if channel else ""
    got = ", ".join(map(repr, names[:8])) + (", …" if len(names) > 8 else "")
    where = "name the columns of label files" if columns == config.LABEL_COLUMNS else "correct their names"
    return (
        f"missing {', '.join(map(repr, missing))}; the columns must be {', '.join(columns.required)}{of_several} (got "
        f"{got}); correct the file, or {where} in labels of model-config/training/data.yaml"
    )


def faults(
    frame: pd.DataFrame, columns: config.LabelColumns, known: NDArray[np.float64] | None, *, now: datetime
) -> list[Fault]:
    """All faults of the columns of `frame`, in their order.

    Args:
        frame: `event_id` as text ('' if missing), `label` as float64 (NaN if not a number), `known_at` in UTC (NaT if
            not a time), and `channel` as text if the file has one.
        known: the times as numbers in the unit that `columns` name; None if they are ISO times.
        now: a label that becomes known later is a fault.
    """
    return [
        *_id_faults(frame[EVENT_ID]),
        *_fault("label outside {0,1}", LABEL, "must be 0 (legitimate) or 1 (fraud)", ~frame[LABEL].isin([0, 1])),
        *_time_faults(frame[KNOWN_AT], columns, known, now),
        *(_channel_faults(frame[CHANNEL], columns) if CHANNEL in frame else []),
    ]


def _id_faults(ids: pd.Series[str]) -> list[Fault]:
    values = pa.array(ids, pa.string())
    blank = _mask(pc.equal(pc.utf8_trim_whitespace(values), ""))
    long = _mask(pc.greater(pc.utf8_length(values), MAX_ID_LENGTH))
    printable = _mask(pc.utf8_is_printable(values))
    return [
        *_fault("missing event_id", EVENT_ID, "must not be empty", blank),
        *_fault("event_id too long", EVENT_ID, f"must have at most {MAX_ID_LENGTH} characters", long),
        *_fault("event_id not printable", EVENT_ID, "must have printable characters only", ~printable & ~blank),
    ]


def _time_faults(
    moments: pd.Series[pd.Timestamp], columns: config.LabelColumns, known: NDArray[np.float64] | None, now: datetime
) -> list[Fault]:
    unit = columns.known_at.unit
    what = f"an ISO 8601 time, as {time_units.ISO_EXAMPLE}" if unit == time_units.ISO else f"a number of {unit}"
    early, late = moments < event_times.EARLIEST, moments > now.astimezone(UTC)
    earliest, dating = (
        f"must be in {event_times.EARLIEST.year} or later",
        Dating(start=None, day=None, alone=True, now=now),
    )
    found = _fault("known_at not a time", KNOWN_AT, f"must be {what}", moments.isna())
    for kind, rule, broken in (
        ("known_at before 2000", earliest, early),
        ("known_at in the future", "must not be in the future: a label is imported once it is known", late),
    ):
        if known is None:
            found += _fault(kind, KNOWN_AT, rule, broken)
            continue
        rows = np.flatnonzero(broken)
        for better, at in event_times.probable_units(known[rows], unit, dating, relative=False):
            hint = f"; is the unit of labels.known_at in data.yaml {better}?" if better else ""
            found.append(Fault(kind=kind, column=KNOWN_AT, rule=f"{rule}{hint}", rows=rows[at]))
    return found


def _channel_faults(channels: pd.Series[str], columns: config.LabelColumns) -> list[Fault]:
    values = columns.channel.values
    where = "" if columns == config.LABEL_COLUMNS else " (labels.channel.values of data.yaml)"
    return _fault("unknown channel", CHANNEL, f"must be {' or '.join(values)}{where}", ~channels.isin(list(values)))


def _fault(kind: str, column: str, rule: str, broken: Any) -> list[Fault]:
    rows = np.flatnonzero(broken)
    return [Fault(kind=kind, column=column, rule=rule, rows=rows)] if rows.size else []


def _mask(condition: Any) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = condition.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask
