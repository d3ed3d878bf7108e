"""Drift checks in the lake: one document per window, identified by its bounds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml.aws.cloudwatch_metrics import NAMESPACE, Point, publish
from ml.aws.drift_check_store import Checks, encoded, fingerprint
from ml.aws.session import client
from ml.errors import DataError
from tests.harness.aws import moto_server

START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
KEY = "monitoring/fraud/checks/20260301T000000Z_20260401T000000Z.json"


@pytest.fixture
def checks(server: str, monkeypatch: pytest.MonkeyPatch) -> Checks:
    """The empty store of an endpoint."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")
    return Checks("lake", "fraud")


def document(start: datetime = START, end: datetime = END) -> dict[str, object]:
    """A minimal check."""
    return {"start": start.isoformat(), "end": end.isoformat(), "verdict": {"rows": 3}}


def test_suppressed_request_of_another_form_is_named(checks: Checks) -> None:
    """A lake without any has none."""
    assert checks.suppressed() == []
    values: dict[str, Any] = {"cause": "data-drift", "raised_by": "windows", "approval": 1}
    checks.write_suppressed("20260401T000000Z-data-drift", reason="r", at=START, **values)
    assert [(each.first, each.latest) for each in checks.suppressed()] == [(START, START)]
    for wrong in (b"[]", b"{}", b'{"schema": 2}', b"no JSON"):
        client("s3").put_object(Bucket="lake", Key="monitoring/fraud/suppressed/x.json", Body=wrong)
        with pytest.raises(DataError, match=r"suppressed/x\.json: not a suppressed request of this version"):
            checks.suppressed()


def test_first_time_and_reason_of_a_suppressed_request_stay(checks: Checks) -> None:
    """Later reasons are beside them; what an earlier version stored does not say what had raised it."""
    name, later = "20260401T000000Z-concept-drift", START + timedelta(days=1)
    for reason, at in (("4 frauds", START), ("19 frauds", later)):
        checks.write_suppressed(name, cause="concept-drift", raised_by="alarm", reason=reason, approval=1, at=at)
    (found,) = checks.suppressed()
    assert (found.raised_by, found.first_reason, found.reason) == ("alarm", "4 frauds", "19 frauds")
    assert (found.first, found.latest) == (START, later)
    key = f"monitoring/fraud/suppressed/{name}.json"
    stored = json.loads(client("s3").get_object(Bucket="lake", Key=key)["Body"].read())
    earlier = {field: value for field, value in stored.items() if field not in ("raised_by", "first_reason")}
    client("s3").put_object(Bucket="lake", Key=key, Body=json.dumps(earlier).encode())
    (found,) = checks.suppressed()
    assert (found.raised_by, found.first_reason) == (None, "19 frauds")


def test_check_is_read_back(checks: Checks) -> None:
    """It is stored under the name of its window; another window has none."""
    assert checks.read(START, END) is None
    assert checks.write(document()) == checks.check_uri(START, END) == f"s3://lake/{KEY}"
    assert checks.read(START, END) == {"schema": 2, **document()}
    assert checks.read(START, END + timedelta(days=1)) is None


def test_windows_are_listed_by_their_end(checks: Checks) -> None:
    """Other objects under the prefix are ignored."""
    week = (START, START + timedelta(days=7))
    for window in ((START, END), week):
        checks.write(document(*window))
    for stray in ("readme.txt", "a_b.json", "20260301T000000Z.json"):
        client("s3").put_object(Bucket="lake", Key=f"monitoring/fraud/checks/{stray}", Body=b"{}")
    assert checks.windows() == [week, (START, END)]


def test_windows_are_listed_again_after_a_write(checks: Checks) -> None:
    """A run that asks several times lists once, and sees what it writes itself; the list is the caller's own."""
    assert checks.windows() == []
    client("s3").put_object(Bucket="lake", Key=KEY, Body=b"{}")
    checks.windows().append((START, START))
    assert checks.windows() == []
    week = (START, START + timedelta(days=7))
    checks.write(document(*week))
    assert checks.windows() == [week, (START, END)]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 1}'])
def test_check_of_another_format_is_refused(checks: Checks, content: bytes) -> None:
    """The error says what to do."""
    client("s3").put_object(Bucket="lake", Key=KEY, Body=content)
    with pytest.raises(DataError, match="delete it; the next check evaluates the window again"):
        checks.read(START, END)


def test_fingerprint_changes_with_every_object(checks: Checks) -> None:
    """An added, changed or removed object changes it, also if the size stays the same."""
    seen = {fingerprint(checks.bucket, "labels/").sha256}
    for body in (b"a", b"b"):
        client("s3").put_object(Bucket="lake", Key="labels/x.parquet", Body=body)
        seen.add(fingerprint(checks.bucket, "labels/").sha256)
    assert len(seen) == 3
    client("s3").delete_object(Bucket="lake", Key="labels/x.parquet")
    assert fingerprint(checks.bucket, "labels/").sha256 in seen
    assert fingerprint(checks.bucket, "labels/").objects == 0


def test_equal_documents_are_equal_bytes() -> None:
    """The order of keys does not matter; NaN raises ValueError."""
    assert encoded({"a": 1, "b": 2}) == encoded({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        encoded({"a": float("nan")})


def test_metrics_are_published_in_batches(checks: Checks) -> None:
    """One namespace with the endpoint as a dimension; values that are not finite are left out."""
    del checks
    points = [Point(name="KolmogorovSmirnov", value=0.1, dimensions={"Feature": f"F{n}"}) for n in range(1_203)]
    points.append(Point(name="Rows", value=float("inf")))
    assert publish("fraud", points, at=datetime.now(UTC)) == 1_203
    pages = client("cloudwatch").get_paginator("list_metrics").paginate(Namespace=NAMESPACE)
    found = [metric for page in pages for metric in page["Metrics"]]
    assert len(found) == 1_203
    assert {"Name": "Endpoint", "Value": "fraud"} in found[0]["Dimensions"]
