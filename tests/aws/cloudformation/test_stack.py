"""The code archive, the code bucket and the error of a failed stack. The tests of bootstrap create whole stacks."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.aws import session
from ml.aws.cloudformation import stack
from ml.aws.session import client
from ml.errors import CloudError
from tests.harness.aws import moto_server


@pytest.fixture
def cloud(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty moto."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)


def test_archive_is_deterministic(tmp_path: Path) -> None:
    """It has no times, owners or folder order, and only source files."""
    first, second = tmp_path / "a", tmp_path / "b"
    for folder, names in ((first, ("x.py", "y.py")), (second, ("y.py", "x.py"))):
        (folder / "sub").mkdir(parents=True)
        for name in (*names, "sub/z.py", "x.pyc", "notes.txt"):
            (folder / name).write_text(f"# {name}")
    os.utime(second / "x.py", (0, 0))
    (second / "x.py").chmod(0o600)
    archive = stack.archive(first, "package")
    assert archive == stack.archive(second, "package")
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        assert zipped.namelist() == ["package/sub/z.py", "package/x.py", "package/y.py"]
        assert zipped.read("package/x.py") == b"# x.py"
        assert {entry.external_attr >> 16 for entry in zipped.infolist()} == {0o644}


@given(st.dictionaries(st.sampled_from(["a.py", "b.py", "c.py"]), st.binary(max_size=50), min_size=1))
def test_archive_depends_on_the_content(files: dict[str, bytes]) -> None:
    """The archive's digest is the code's version, so every changed byte must change it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        before = stack.archive(Path(folder), "p")
        (Path(folder) / min(files)).write_bytes(files[min(files)] + b"x")
        assert stack.archive(Path(folder), "p") != before


def test_code_bucket_is_private_and_created_once(cloud: None) -> None:
    """It is private, encrypted, versioned and TLS only; a second call restores missing settings."""
    assert stack.ensure_bucket("code") is True
    client("s3").delete_public_access_block(Bucket="code")
    assert stack.ensure_bucket("code") is False
    s3 = client("s3")
    closed = s3.get_public_access_block(Bucket="code")["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    assert s3.get_bucket_versioning(Bucket="code")["Status"] == "Enabled"
    assert s3.get_bucket_encryption(Bucket="code")["ServerSideEncryptionConfiguration"]["Rules"]
    policy = json.loads(s3.get_bucket_policy(Bucket="code")["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_code_is_uploaded_once_under_its_digest(cloud: None) -> None:
    """Equal code is not written again, so that an unchanged stack stays unchanged."""
    moto_server.make_bucket("code")
    client("s3").put_bucket_versioning(Bucket="code", VersioningConfiguration={"Status": "Enabled"})
    key = stack.upload("code", "deploy_model", b"zip")
    assert stack.upload("code", "deploy_model", b"zip") == key
    assert stack.upload("code", "deploy_model", b"other") != key
    versions = client("s3").list_object_versions(Bucket="code")["Versions"]
    assert len(versions) == 2


def test_error_of_a_failed_stack_names_the_first_failed_resource(cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later failures follow from it; failures before this operation are ignored."""
    kind = "AWS::CloudFormation::Stack"
    events = [  # newest first, as in CloudFormation
        event("fraudops", "ROLLBACK_COMPLETE", kind),
        event("Topic", "CREATE_FAILED", "AWS::SNS::Topic", "Resource creation cancelled"),
        event("Later", "CREATE_FAILED", "AWS::SQS::Queue", "it needs Lake"),
        event("Lake", "CREATE_FAILED", "AWS::S3::Bucket", "lake already exists"),
        event("fraudops", "CREATE_IN_PROGRESS", kind, "User Initiated"),
        event("Old", "CREATE_FAILED", "AWS::SQS::Queue", "of yesterday"),
    ]

    class Paginator:
        def paginate(self, **request: Any) -> list[dict[str, Any]]:
            return [{"StackEvents": events}]

    class CloudFormation:
        def create_stack(self, **request: Any) -> None:
            states.append({"StackStatus": "ROLLBACK_COMPLETE", "StackId": "arn", "Outputs": []})

        def get_paginator(self, name: str) -> Paginator:
            return Paginator()

    states: list[dict[str, Any]] = []
    monkeypatch.setattr(stack, "describe_stack", lambda name: states[-1] if states else None)
    monkeypatch.setattr(session, "client", lambda name: CloudFormation())
    with pytest.raises(CloudError, match=r"ROLLBACK_COMPLETE: Lake \(AWS::S3::Bucket\): lake already exists"):
        stack.apply("fraudops", "{}", {})


def event(resource: str, status: str, kind: str, reason: str = "") -> dict[str, str]:
    """One event of a stack."""
    return {
        "LogicalResourceId": resource,
        "ResourceStatus": status,
        "ResourceType": kind,
        "ResourceStatusReason": reason,
    }
