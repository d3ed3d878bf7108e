"""Texts become times and ids."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

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
