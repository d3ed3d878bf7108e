"""Texts become times and ids."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from ml.ingest import cell_types
from ml.ingest.cell_types import TIME, Cast
from ml.model.time_units import IsoTimes
from tests.ingest.data_files import HEADER, read


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2026-03-01T06:00:00Z", "2026-03-01T08:00:00.25+02:00"], [0, 250_000]),
        (["2026-03-01T06:00:00", "2026-03-01 06:00:00.000001"], [0, 1]),
        (["2026-03-01T06:00:00Z", "2026-03-01T06:00:01"], [0, 1_000_000]),
        (["2026-03-01T06:00:00Z", "2026-03-01"], [0, -6 * 3_600 * 1_000_000]),
    ],
)
def test_event_times_are_utc(tmp_path: Path, texts: list[str], expected: list[int]) -> None:
    """Offsets are honoured, a time without one is UTC, and spellings may be mixed."""
    rows = "".join(f"{text},0,1,2,3,0\n" for text in texts)
    content = read(tmp_path, f"event_time,{HEADER}\n{rows}")
    assert content.faults == ()
    assert str(content.frame["event_time"].dtype) == "datetime64[us, UTC]"
    origin = pd.Timestamp("2026-03-01T06:00:00Z")
    assert ((content.frame["event_time"] - origin) // pd.Timedelta("1us")).tolist() == expected


def test_ids_are_text(tmp_path: Path) -> None:
    """An id of digits keeps its zeros, and a quoted line break in one is two broken lines, not one good row."""
    content = read(tmp_path, f"event_id,{HEADER}\n007,0,1,2,3,0\n7,0,1,2,3,0\n")
    assert content.frame["event_id"].tolist() == ["007", "7"]
    content = read(tmp_path, f'event_id,{HEADER}\n"a\nb",0,1,2,3,0\n7,0,1,2,3,0\n')
    assert content.bad.tolist() == [True, True, False]


def by_duckdb(text: str, zone: str) -> float | None:
    """Seconds since 1970 as the reader of files computes them."""
    cast = Cast(name="at", source="at", kind=TIME, zone=zone)
    with duckdb.connect(":memory:") as database:
        database.execute("SET TimeZone = 'UTC'")
        query = f"SELECT {cell_types.expression(cast, 'c0', 'VARCHAR')} FROM (SELECT ? AS c0)"  # noqa: S608 - of the product
        (found,) = database.execute(query, [text]).fetchall()[0]
    return None if found is None else found / 1_000_000


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T06:00:00Z",
        "2026-03-01 06:00",
        " 2026-03-01\t",
        "2026-03-01T06:00:00.5+01",
        "2026-03-01T06:00:00-0230",
        "2026-03-01T06:00:00.123456789+02:00",
        "2026-10-25T02:30:00",  # twice on the clocks of Berlin
        "2026-03-29T02:30:00",  # never there
        "2026-02-30",
        "2026-03-01T24:00:00",
        "2026-03-01Z",
        "20260301",
        "2026-03-01T06",
        "06:00",
        "now",
        "infinity",
        "epoch",
        "",
    ],
)
def test_requests_and_files_read_the_same_times(text: str, zone: str) -> None:
    """Dates, offsets, fractions, and the hours in which clocks change; everything else is no time for either."""
    assert IsoTimes(zone).seconds(text) == pytest.approx(by_duckdb(text, zone), abs=1e-6)
