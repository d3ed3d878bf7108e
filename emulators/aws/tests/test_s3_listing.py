"""Listings of a bucket: their entries are those that moto itself renders."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest
from aws_resources import unique_name
from local_aws import s3_listing
from local_aws.server import ACCOUNT, LocalAws

KEYS = ("a/1 &<x>", "a/deep/2", "a/deep/3", "a/é+", "b/1", "c")


@pytest.fixture
def bucket(aws: LocalAws) -> str:
    """A versioned bucket: keys that XML and URLs escape, an object without a checksum, and deleted objects."""
    from moto.s3.models import s3_backends

    s3, name = aws.client("s3"), unique_name("bucket")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key in (*KEYS, "a/gone", "gone/1"):
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    s3_backends[ACCOUNT]["aws"].put_object(name, "d", b"1")
    s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a/gone"}, {"Key": "gone/1"}]})
    return name


@pytest.mark.parametrize(
    ("request_members", "keys"),
    [
        ({}, [*KEYS, "d"]),
        ({"Prefix": "a/", "Delimiter": "/"}, ["a/1 &<x>", "a/é+"]),
        ({"Delimiter": "/"}, ["c", "d"]),
        ({"Prefix": "a/deep"}, ["a/deep/2", "a/deep/3"]),
        ({"StartAfter": "a/deep/3"}, ["a/é+", "b/1", "c", "d"]),
        ({"MaxKeys": 2}, ["a/1 &<x>", "a/deep/2"]),
        ({"MaxKeys": 0}, []),
        ({"Prefix": "gone/"}, []),
        ({"Delimiter": "/", "StartAfter": "a/z"}, ["c", "d"]),
        ({"Delimiter": "/", "MaxKeys": 1}, []),
        ({"Delimiter": "/", "MaxKeys": 3}, ["c"]),
    ],
)
def test_entries_are_those_of_moto(
    aws: LocalAws, bucket: str, request_members: dict[str, Any], keys: list[str]
) -> None:
    """Every member equals that of the same request with FetchOwner, whose entries moto renders."""
    s3 = aws.client("s3")
    fast = s3.list_objects_v2(Bucket=bucket, **request_members)
    slow = s3.list_objects_v2(Bucket=bucket, FetchOwner=True, **request_members)
    assert [item["Key"] for item in fast.get("Contents", [])] == keys
    without_owner = [{name: item[name] for name in item if name != "Owner"} for item in slow.get("Contents", [])]
    assert fast.get("Contents", []) == without_owner
    assert all("Owner" in item for item in slow.get("Contents", []))
    ignored = {"Contents", "ResponseMetadata"}
    assert {k: v for k, v in fast.items() if k not in ignored} == {k: v for k, v in slow.items() if k not in ignored}


def test_pages_hold_every_key_once(aws: LocalAws, bucket: str) -> None:
    """A listing in pages of two, by continuation tokens, ends with the last key."""
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    assert [item["Key"] for page in pages for item in page["Contents"]] == [*KEYS, "d"]


def test_first_version_of_the_operation_names_the_owner(aws: LocalAws, bucket: str) -> None:
    """ListObjects returns the owner of each object, as S3 does."""
    listed = aws.client("s3").list_objects(Bucket=bucket, Prefix="a/deep/")["Contents"]
    assert [(item["Key"], "DisplayName" in item["Owner"]) for item in listed] == [
        ("a/deep/2", True),
        ("a/deep/3", True),
    ]


def test_listing_follows_changes(aws: LocalAws, bucket: str) -> None:
    """After objects were stored, overwritten, deleted and restored, a listing has the names that moto's own has."""
    s3 = aws.client("s3")

    def listed(**members: Any) -> list[str]:
        return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, **members).get("Contents", [])]

    assert listed(Prefix="a/") == [key for key in KEYS if key.startswith("a/")]
    s3.put_object(Bucket=bucket, Key="a/0", Body=b"new")
    s3.put_object(Bucket=bucket, Key="a/0", Body=b"newer")
    marker = s3.delete_object(Bucket=bucket, Key="a/deep/2")["VersionId"]
    assert listed(Prefix="a/") == ["a/0", "a/1 &<x>", "a/deep/3", "a/é+"]
    s3.delete_object(Bucket=bucket, Key="a/deep/2", VersionId=marker)
    for version in s3.list_object_versions(Bucket=bucket, Prefix="a/0")["Versions"]:
        s3.delete_object(Bucket=bucket, Key="a/0", VersionId=version["VersionId"])
    assert listed(Prefix="a/") == ["a/1 &<x>", "a/deep/2", "a/deep/3", "a/é+"]
    assert listed() == [item["Key"] for item in s3.list_objects(Bucket=bucket)["Contents"]]


def test_object_that_is_stored_while_names_are_sorted_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other thread's write waits for the names, so that none is missing from them."""
    from moto.s3.models import _VersionedKeyStore

    store = _VersionedKeyStore()
    store["a"] = 1
    writer = threading.Thread(target=store.__setitem__, args=("b", 2))

    def slowly(names: Iterable[str]) -> list[str]:
        found = sorted(names)
        writer.start()
        writer.join(0.2)  # time enough to write, if nothing made it wait
        return found

    monkeypatch.setattr(s3_listing, "sorted", slowly, raising=False)
    assert s3_listing._names(store, "") == ["a"]
    writer.join()
    assert s3_listing._names(store, "") == ["a", "b"]
