"""Clients of AWS: how they read responses."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import IncompleteReadError
from botocore.utils import parse_timestamp
from local_aws.faults import Rule
from local_aws.server import LocalAws

from ml.aws import session


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-27T15:51:06.000Z", datetime(2026, 11, 27, 15, 51, 6, tzinfo=UTC)),
        ("2026-11-27T15:51:06.123456+02:00", datetime(2026, 11, 27, 13, 51, 6, 123456, tzinfo=UTC)),
        ("Fri, 27 Nov 2026 15:51:06 GMT", datetime(2026, 11, 27, 15, 51, 6, tzinfo=UTC)),
        (1795794666.5, datetime(2026, 11, 27, 15, 51, 6, 500000, tzinfo=UTC)),
        ("1795794666", datetime(2026, 11, 27, 15, 51, 6, tzinfo=UTC)),
    ],
)
def test_times_of_responses_are_those_of_botocore(text: Any, expected: datetime) -> None:
    """The fast parser of clients returns the moment that botocore's own returns, with a time zone."""
    parsed = session.parse_time(text)
    assert parsed == parse_timestamp(text) == expected
    assert parsed.utcoffset() is not None


def test_clients_use_the_fast_parser(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of S3 has the times that the fast parser made, which are in Python's own UTC."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = session.client("s3")
    s3.create_bucket(Bucket="times")
    s3.put_object(Bucket="times", Key="a", Body=b"1")
    assert s3.list_objects_v2(Bucket="times")["Contents"][0]["LastModified"].tzinfo is UTC


IDENTITY = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "one",
    "AWS_SECRET_ACCESS_KEY": "first",
}


def signed_with(client: Any) -> tuple[str, str]:
    """The access key that a client signs with, and its secret."""
    credentials = client._request_signer._credentials
    return credentials.access_key, credentials.secret_key


@pytest.mark.parametrize(
    ("name", "value", "region", "keys"),
    [
        ("AWS_REGION", "eu-west-1", "eu-west-1", ("one", "first")),
        ("AWS_ACCESS_KEY_ID", "two", "us-east-1", ("two", "first")),
        ("AWS_SECRET_ACCESS_KEY", "second", "us-east-1", ("one", "second")),
    ],
)
def test_identity_and_region_are_those_of_the_moment(
    name: str, value: str, region: str, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that has made a client of one identity or region serves no other, also for services not used before."""
    for given, text in IDENTITY.items():
        monkeypatch.setenv(given, text)
    first = session.client("s3")
    monkeypatch.setenv(name, value)
    for other in (session.client("s3"), session.client("sagemaker")):
        assert (other.meta.region_name, signed_with(other)) == (region, keys)
    assert (first.meta.region_name, signed_with(first)) == ("us-east-1", ("one", "first"))


def test_profile_of_another_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second file's keys sign the calls, of a service that was used before and of one that was not."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    for number in ("one", "two"):
        file = tmp_path / number
        file.write_text(f"[default]\naws_access_key_id = {number}\naws_secret_access_key = secret-{number}\n")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        services = ("s3",) if number == "one" else ("s3", "sagemaker")
        assert {signed_with(session.client(each)) for each in services} == {(number, f"secret-{number}")}


def test_clients_of_one_session_keep_their_own_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that retries by itself has a client of its own, with the same identity."""
    for given, text in IDENTITY.items():
        monkeypatch.setenv(given, text)
    few, usual = session.client("s3", attempts=1), session.client("s3")
    limits = [client.meta.config.retries["total_max_attempts"] for client in (few, usual)]
    assert (limits, signed_with(few)) == ([1, session.ATTEMPTS], signed_with(usual))


def test_clients_have_the_service_definitions_of_botocore(repository_root: Path) -> None:
    """The fast loader reads what botocore's own reads, also compressed files; a name without a file has none.

    In a process of its own: in this one botocore's loader keeps what it has read, which clients of other tests change.
    """
    program = """
from botocore.loaders import create_loader
from ml.aws import session
own, fast = create_loader(), session._loader()
for service in ("cloudformation", "cloudwatch", "logs", "s3", "sagemaker", "sts"):
    for kind in ("service-2", "paginators-1", "endpoint-rule-set-1"):
        assert fast.load_service_model(service, kind) == own.load_service_model(service, kind), (service, kind)
assert fast.load_data("endpoints") == own.load_data("endpoints")
assert fast.file_loader.load_file("no/such/file") is None
print("equal")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository_root, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("equal\n", "")


def test_response_that_was_cut_off_is_asked_for_again(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore returns half a JSON document as an empty answer; this client tries again, and gives up with an error."""
    with LocalAws(tmp_path_factory.mktemp("aws")) as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        sagemaker = session.client("sagemaker")
        aws.faults.set([Rule(fault="truncated", service="sagemaker", operation="ListEndpoints")])
        assert sagemaker.list_endpoints()["Endpoints"] == []
        once = session.client("sagemaker", attempts=1)
        aws.faults.set([Rule(fault="truncated", service="sagemaker", operation="ListEndpoints")])
        with pytest.raises(IncompleteReadError):
            once.list_endpoints()
