"""The database in which labels are joined."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.aws.labels import database


def test_database_is_on_disk_within_its_memory_and_loads_nothing(tmp_path: Path) -> None:
    """More rows than memory holds go to the folder, and no query may download an extension."""
    engine = database.connect(tmp_path, memory="64MB")
    try:
        engine.execute("CREATE TABLE numbers AS SELECT range AS n FROM range(1000)")
        names = ("memory_limit", "threads", "preserve_insertion_order", "autoinstall_known_extensions")
        found = engine.execute(f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}").fetchone()
    finally:
        engine.close()
    assert found == ("61.0 MiB", 2, False, False)
    assert (tmp_path / "labels.duckdb").stat().st_size > 0


def test_temporary_tables_are_those_of_one_connection() -> None:
    """Two connections at the same time have tables of the same name, and neither is there for the next."""
    engines = [database.connect_temporary() for _ in range(2)]
    for number, engine in enumerate(engines):
        engine.execute(f"CREATE TEMP TABLE numbers AS SELECT {number} AS n")
    assert [engine.execute("SELECT n FROM numbers").fetchone() for engine in engines] == [(0,), (1,)]
    for engine in engines:
        engine.close()
    engine = database.connect_temporary()
    with pytest.raises(duckdb.CatalogException):
        engine.execute("SELECT n FROM numbers")
    engine.close()


def test_failed_query_leaves_other_connections_usable() -> None:
    """An error is that of its connection."""
    engine = database.connect_temporary()
    with pytest.raises(duckdb.Error):
        engine.execute("SELECT * FROM read_parquet('missing.parquet')")
    engine.close()
    engine = database.connect_temporary()
    assert engine.execute("SELECT 1").fetchone() == (1,)
    engine.close()


def test_temporary_tables_may_be_larger_than_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go to disk, below the folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    database._shared.cache_clear()
    try:
        engine = database.connect_temporary()
        engine.execute("SET memory_limit = '64MB'")
        engine.execute("CREATE TEMP TABLE numbers AS SELECT range AS n, hash(range) AS h FROM range(20_000_000)")
        (folder,) = tmp_path.glob("fraudops-duckdb-*")
        assert sum(file.stat().st_size for file in folder.iterdir()) > 64e6
        assert engine.execute("SELECT count(*), sum(n) FROM numbers").fetchone() == (20_000_000, 199_999_990_000_000)
        engine.close()
    finally:
        database._shared.cache_clear()
    assert not list(tmp_path.iterdir())


def test_labels_can_be_added_to_a_temporary_database(tmp_path: Path) -> None:
    """The latest known label of a channel counts, and a finding alone is no label."""
    file = tmp_path / "labels.parquet"
    rows = {
        "event_id": ["a", "a", "b"],
        "label": [0, 1, 1],
        "known_at": [1, 2, 1],
        "channel": ["chargeback"] * 2 + ["analyst"],
    }
    types = {"event_id": pa.string(), "label": pa.int8(), "known_at": pa.timestamp("us", "UTC"), "channel": pa.string()}
    pq.write_table(pa.table({name: pa.array(values, types[name]) for name, values in rows.items()}), file)
    for as_of, label in ((1, 0), (2, 1)):
        engine = database.connect_temporary()
        database.add_labels(engine, [str(file)], as_of)
        assert engine.execute("SELECT * FROM labelled").fetchall() == [("a", label)]
        engine.close()
