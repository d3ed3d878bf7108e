"""Makes the lake's tables from the valid rows of a data file: transactions and, apart, their labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from ml.model import data_contract
from ml.model.data_contract import EVENT_ID, EVENT_TIME
from ml.model.training_settings import Columns

_LABELS = pa.schema([(EVENT_ID, pa.string()), ("label", pa.int8()), ("known_at", pa.timestamp("us", "UTC"))])


def identified(frame: pd.DataFrame, columns: Columns) -> tuple[pd.DataFrame, str]:
    """The rows of `frame` in the lake's column order, with an id each, and the digest of their content.

    Rows without an id get one of the digest and their position, so that a repeated import gives the same ids.
    """
    ids = [EVENT_ID] if EVENT_ID in frame else []
    labels = [columns.label] if columns.label in frame else []
    content = frame[[*ids, EVENT_TIME, *columns.kept, *columns.inputs, *labels]]
    digest = data_contract.content_sha256(content)
    if not ids:
        content = content.assign(**{EVENT_ID: data_contract.event_ids(digest, len(content))})
    return content, digest


def tables(frame: pd.DataFrame, columns: Columns) -> tuple[pa.Table, pa.Table]:
    """The transactions and their labels; a label in a file is known at its event's time. No label if it has none."""
    ids = pa.array(frame[EVENT_ID], pa.string())
    times = pa.array(data_contract.microseconds(frame[EVENT_TIME])).cast(pa.timestamp("us", "UTC"))
    kept = {name: pa.array(frame[name], pa.string()) for name in columns.kept}
    numbers = {name: pa.array(frame[name].to_numpy(dtype=np.float64)) for name in columns.numbers}
    categories = {name: pa.array(frame[name], pa.string()) for name in columns.categories}
    transactions = pa.table({EVENT_ID: ids, EVENT_TIME: times, **kept, **numbers, **categories})
    if columns.label not in frame:
        return transactions, _LABELS.empty_table()
    labels = pa.array(frame[columns.label].to_numpy().astype(np.int8))
    return transactions, pa.table({EVENT_ID: ids, "label": labels, "known_at": times})
