"""`fraudops drift check`: it counts what was captured in the window, and never takes silence for health."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.aws import capture, platform, session
from ml.commands import drift
from ml.errors import ConfigError
from tests import moto_server

BUCKET, ENDPOINT = "lake", "fraudops-production"
WINDOW = "2026-03-01T00:00:00Z/2026-03-02T00:00:00Z"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """One moto for the file."""
    with moto_server.served() as url:
        yield url


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty lake, and a platform that has it."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket(BUCKET)
    found = platform.Platform(
        region="eu-west-1",
        account="1",
        bucket=BUCKET,
        execution_role_arn="r",
        package_group="g",
        deploy_function="f",
        topic_arn="t",
    )
    monkeypatch.setattr(platform, "read", lambda: found)
    for name in ("OUTPUT", "STEP_SUMMARY"):
        monkeypatch.setenv(f"GITHUB_{name}", str(tmp_path / name.lower()))


def captured(hour: str, *, endpoint: str = ENDPOINT, variant: str = "AllTraffic", name: str = "a") -> None:
    """One object of captured traffic."""
    key = f"capture/{endpoint}/{variant}/{hour}/{name}.jsonl"
    session.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"{}\n")


def test_no_traffic_is_no_data(repository_root: Path, tmp_path: Path) -> None:
    """It is neither drift nor its absence, in the verdict, in the output and in the summary."""
    found = drift.check(repository_root, window=WINDOW)
    assert (found.verdict, found.objects, found.hours) == ("no data", 0, 24)
    assert "neither drift nor its absence" in found.reason
    assert "\nno data\n" in (tmp_path / "output").read_text()
    assert "### Drift: no data" in (tmp_path / "step_summary").read_text()


def test_traffic_is_counted_and_said_not_to_be_judged(repository_root: Path) -> None:
    """Every variant counts, by the hour; what lies outside the window, or is another endpoint's, does not."""
    captured("2026/03/01/00")
    captured("2026/03/01/00", name="b")
    captured("2026/03/01/23", variant="Other")
    for outside in ("2026/02/28/23", "2026/03/02/00"):
        captured(outside)
    captured("2026/03/01/12", endpoint=f"{ENDPOINT}-2")
    found = drift.check(repository_root, window=WINDOW)
    assert (found.verdict, found.objects, found.bytes, found.hours_with_traffic) == ("not judged", 3, 9, 2)
    assert "does not judge whether they drift" in found.reason


def test_a_window_is_rounded_outwards_to_hours() -> None:
    """An hour is one folder: a window that begins or ends within it has it."""
    captured("2026/03/01/05")
    captured("2026/03/01/07")
    start = datetime(2026, 3, 1, 5, 59, tzinfo=UTC)
    assert capture.listing(BUCKET, ENDPOINT, start, start + timedelta(minutes=62)).objects == 2
    assert capture.listing(BUCKET, ENDPOINT, start, start + timedelta(minutes=61)).objects == 1


def test_what_is_no_capture_is_not_counted() -> None:
    """A stray object below the prefix has no hour."""
    session.client("s3").put_object(Bucket=BUCKET, Key=f"capture/{ENDPOINT}/AllTraffic/2026/03/01/readme.txt", Body=b"")
    start = datetime(2026, 3, 1, tzinfo=UTC)
    assert capture.listing(BUCKET, ENDPOINT, start, start + timedelta(days=1)).objects == 0


def test_the_last_whole_day_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """In UTC, by the project's clock."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-02T01:30:00+02:00")
    day = datetime(2026, 2, 28, tzinfo=UTC)
    assert drift.interval(None) == drift.interval("") == (day, day + timedelta(days=1))


@pytest.mark.parametrize(
    "window",
    [
        "yesterday",
        "2026-03-01T00:00:00Z",
        "2026-03-01T00:00:00/2026-03-02T00:00:00",
        "2026-03-02T00:00:00Z/2026-03-01T00:00:00Z",
        "$(touch pwned)/`id`",
    ],
)
def test_a_window_that_is_none_is_refused(window: str) -> None:
    """It names what was given."""
    with pytest.raises(ConfigError, match="window must"):
        drift.interval(window)


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)), st.integers(1, 10**6))
def test_any_window_is_read_as_it_was_written(start: datetime, seconds: int) -> None:
    """Two times with their offsets, whatever they are."""
    first = start.replace(tzinfo=UTC)
    last = first + timedelta(seconds=seconds)
    assert drift.interval(f"{first.isoformat()}/{last.isoformat()}") == (first, last)
