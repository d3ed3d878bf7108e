"""Answers of moto that would differ from those of AWS."""

from __future__ import annotations

from aws_resources import unique_name
from local_aws.server import LocalAws


def test_folder_of_deleted_objects_is_not_listed(aws: LocalAws) -> None:
    """Neither version markers nor older versions are keys of a listing; the folder of a kept object stays."""
    s3, name = aws.client("s3"), unique_name("bucket")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for key in ("a/gone/1", "a/gone/2", "a/kept/1", "a/kept/2", "top/1"):
        s3.put_object(Bucket=name, Key=key, Body=b"1")
    gone = [{"Key": key} for key in ("a/gone/1", "a/gone/2", "a/kept/1", "top/1")]
    s3.delete_objects(Bucket=name, Delete={"Objects": gone})
    below = s3.list_objects_v2(Bucket=name, Prefix="a/", Delimiter="/")
    assert ([item["Prefix"] for item in below["CommonPrefixes"]], below["KeyCount"]) == (["a/kept/"], 1)
    assert [item["Prefix"] for item in s3.list_objects_v2(Bucket=name, Delimiter="/")["CommonPrefixes"]] == ["a/"]
    s3.put_object(Bucket=name, Key="a/gone/2", Body=b"2")
    again = s3.list_objects(Bucket=name, Prefix="a/", Delimiter="/")["CommonPrefixes"]
    assert [item["Prefix"] for item in again] == ["a/gone/", "a/kept/"]
