"""The database in which labels are joined."""

from __future__ import annotations

from pathlib import Path

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
