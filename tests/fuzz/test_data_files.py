"""Files of transactions and of labels that somebody delivers: rows, or a DataError that names the file."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.errors import DataError
from ml.ingest import data_file, label_file, staging
from tests.fuzz.untrusted import damaged, hostile_text
from tests.harness.fuzzing import examples
from tests.ingest.data_files import COLUMNS, GOOD, HEADER

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LABELS = b"event_id,label,known_at\na,1,2026-03-01T00:00:00Z\nb,0,2026-03-02T00:00:00Z\n"
NAMES = st.one_of(
    st.sampled_from(["a.csv", "a.parquet", "a.gz", "a.zst", "a", "a.csv.gz", "a.pq"]),
    st.text("a.*?[]'\" {}!;$(-\u00e9\n", min_size=1, max_size=8).filter(lambda name: name.strip(".")),
)


def parquet(table: dict[str, list[Any]]) -> bytes:
    """The bytes of a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink)
    return sink.getvalue()


ROWS: dict[str, list[Any]] = {
    "Time": [0.0, 60.0],
    "V1": [1.5, -0.001],
    "V2": [-2.0, 0.5],
    "Amount": [3.25, 0.0],
    "Class": [0, 1],
}
CSV = f"{HEADER}\n{GOOD}".encode()
cells = st.one_of(
    hostile_text,
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["", " ", "nan", "inf", "1e999", "0x1", "1_000", "١", "=1+1", '"', "\ufeff", "-0"]),
)


@st.composite
def written_rows(draw: st.DrawFn) -> bytes:
    """A header, whole or not, and rows of any cells with any line ends."""
    names = draw(st.one_of(st.just(HEADER.split(",")), st.lists(st.sampled_from(HEADER.split(",")), max_size=8)))
    width = st.one_of(st.just(len(names)), st.integers(0, 9))
    rows = draw(st.lists(width.flatmap(lambda count: st.lists(cells, min_size=count, max_size=count)), max_size=5))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    delimiter = draw(st.sampled_from([",", ",", ";", "\t"]))
    return end.join(delimiter.join(row) for row in [names, *rows]).encode("utf-8", "surrogatepass")


CONTENTS = st.one_of(
    st.sampled_from(
        [CSV, parquet(ROWS), gzip.compress(CSV), gzip.compress(parquet(ROWS)), CSV.decode().encode("utf-16")]
    ),
    written_rows(),
    damaged(st.sampled_from([CSV, parquet(ROWS), gzip.compress(CSV)])),
    damaged(written_rows()).map(gzip.compress),
)


@st.composite
def odd_tables(draw: st.DrawFn) -> bytes:
    """A Parquet file whose columns have types that the contract does not expect."""
    values = st.sampled_from(
        [
            [1, 2],
            [True, None],
            ["1", "x"],
            [b"1", b"\xff"],
            [datetime(2026, 3, 1, tzinfo=UTC), None],
            [[1.0], []],
            [{"a": 1}, {"a": None}],
            [float("nan"), float("inf")],
            [None, None],
            [2**63 - 1, -(2**63)],
        ]
    )
    names = draw(st.lists(st.sampled_from([*HEADER.split(","), "event_id", "event_time", "x"]), max_size=7))
    columns = [draw(st.one_of(st.just(ROWS[name]) if name in ROWS else values, values)) for name in names]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(column) for column in columns], names=names), sink)
    return sink.getvalue()


def put(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> str:
    """The path of a file with this name and content, in a folder without another file."""
    folder = tmp_path_factory.getbasetemp() / "delivered"
    folder.mkdir(exist_ok=True)
    for other in folder.iterdir():
        other.unlink()
    (folder / name).write_bytes(content)
    return str(folder / name)


@given(content=st.one_of(CONTENTS, odd_tables()), name=NAMES)
@examples(200)
def test_any_file_of_transactions_is_rows_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    """A row without a fault has finite numbers and a label of 0 or 1; the folder has no other file afterwards."""
    path = put(tmp_path_factory, name, content)
    try:
        found = data_file.read(path, COLUMNS)
    except DataError as error:
        assert str(error).startswith(f"{path}: ")
        return
    finally:
        assert [item.name for item in Path(path).parent.iterdir()] == [name]
    good = found.frame.loc[~found.bad]
    assert np.isfinite(good[["V1", "V2", "Amount"]].to_numpy(np.float64)).all()
    assert set(good["Class"].unique()) <= {0, 1}
    assert found.bytes == len(content)


label_bytes = st.one_of(
    st.sampled_from([LABELS, gzip.compress(LABELS)]),
    damaged(st.just(LABELS)),
    st.lists(st.lists(cells, min_size=3, max_size=3).map(",".join), max_size=5).map(
        lambda rows: "\n".join(["event_id,label,known_at", *rows]).encode("utf-8", "surrogatepass")
    ),
    damaged(
        st.just(parquet({"event_id": ["a", "b"], "label": [0, 1], "known_at": [datetime(2026, 3, 1, tzinfo=UTC)] * 2}))
    ),
)


@given(content=label_bytes, name=NAMES)
@examples(100)
def test_any_file_of_labels_is_rows_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    """Every row of the file is a label, a repetition or a row with a fault."""
    path = put(tmp_path_factory, name, content)
    try:
        found = label_file.read(path, config.LABEL_COLUMNS, channel=None, now=NOW)
    except DataError as error:
        assert str(error).startswith(f"{path}: ")
        return
    assert found.rows == found.labels.num_rows + found.repeated + found.faulty_rows
    assert set(found.labels["label"].to_pylist()) <= {0, 1}
    times = pd.Series(found.labels["known_at"].to_pylist())
    assert times.empty or times.max() <= NOW


@pytest.mark.parametrize("copies", [1, 3])
def test_compressed_zeros_are_unpacked_in_bounded_memory(tmp_path: Path, copies: int) -> None:
    """A chunk of gzip may unpack to a thousand times its size."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
    member = b"".join(squeeze.compress(b"\0" * 2**20) for _ in range(96)) + squeeze.flush()
    (tmp_path / "a.gz").write_bytes(member * copies)
    (tmp_path / "staged").mkdir()
    tracemalloc.start()
    try:
        staged = staging.stage(str(tmp_path / "a.gz"), tmp_path / "staged")
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20
    finally:
        tracemalloc.stop()
    assert staged.local.stat().st_size == 96 * 2**20 * copies


@given(name=NAMES.filter(lambda name: "." not in name), content=st.sampled_from([CSV, parquet(ROWS)]))
@examples(30)
def test_name_of_a_file_is_no_pattern(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> None:
    """Brackets, stars and quotes in a file's name are characters: the file is read, and no other one beside it."""
    path = put(tmp_path_factory, name, content)
    Path(path).with_name("a1").write_bytes(CSV.replace(b"1.5", b"9.5"))
    try:
        found = data_file.read(path, COLUMNS)
        assert found.frame["V1"].tolist() == [1.5, -0.001]
    finally:
        Path(path).with_name("a1").unlink()
