"""Operations of REST requests: method, path, query and headers of botocore's service models."""

from __future__ import annotations

from typing import Any

import pytest
from local_aws.authorization import rest_operations


@pytest.mark.parametrize(
    ("request_line", "query", "operation"),
    [
        ("GET /", "", "ListBuckets"),
        ("PUT /b", "", "CreateBucket"),
        ("HEAD /b", "", "HeadBucket"),
        ("GET /b", "", "ListObjects"),
        ("GET /b/", "", "ListObjects"),
        ("GET /b", "list-type prefix", "ListObjectsV2"),
        ("GET /b", "versions", "ListObjectVersions"),
        ("GET /b", "versioning", "GetBucketVersioning"),
        ("POST /b", "delete", "DeleteObjects"),
        ("GET /b/a/k", "", "GetObject"),
        ("GET /b/a/k", "x-id", "GetObject"),
        ("GET /b/a/k", "tagging", "GetObjectTagging"),
        ("HEAD /b/a/k", "", "HeadObject"),
        ("DELETE /b/a/k", "versionId", "DeleteObject"),
        ("DELETE /b/a/k", "uploadId", "AbortMultipartUpload"),
        ("PUT /b/a/k", "", "PutObject"),
        ("PUT /b/a/k", "partNumber uploadId", "UploadPart"),
        ("POST /b/a/k", "uploads", "CreateMultipartUpload"),
        ("POST /b/a/k", "uploadId", "CompleteMultipartUpload"),
    ],
)
def test_s3_operation_is_found(request_line: str, query: str, operation: str) -> None:
    """Of the operations with one method and path, the one whose query and headers ask most of the request is meant."""
    method, path = request_line.split()
    values = {name: ["2" if name == "list-type" else ""] for name in query.split()}
    found = rest_operations.find("s3", method, path, values, {})
    assert found is not None
    assert found[0] == operation


def test_header_distinguishes_a_copy() -> None:
    """CopyObject and UploadPartCopy are PutObject and UploadPart with a source in a header."""
    headers = {"HTTP_X_AMZ_COPY_SOURCE": "/other/key"}
    part = {"partNumber": ["1"], "uploadId": ["u"]}
    assert find("PUT", "/b/k", {}, headers)[0] == "CopyObject"
    assert find("PUT", "/b/k", part, headers)[0] == "UploadPartCopy"
    assert find("PUT", "/b/k", {}, headers)[1]["CopySource"] == "/other/key"


def test_parameters_come_from_path_query_and_headers() -> None:
    """By their API names; a key keeps its slashes."""
    operation, parameters = find("GET", "/b/a/b c/ü", {"versionId": ["7"]}, {"HTTP_IF_MATCH": "e"})
    assert operation == "GetObject"
    assert parameters == {"Bucket": "b", "Key": "a/b c/ü", "VersionId": "7", "IfMatch": "e"}


def test_other_services_have_their_own_paths() -> None:
    """Lambda and the SageMaker runtime; a path or service that does not exist has no operation."""
    invoke = rest_operations.find("lambda", "POST", "/2015-03-31/functions/f/invocations", {}, {})
    assert invoke == ("Invoke", {"FunctionName": "f"})
    runtime = rest_operations.find("sagemaker-runtime", "POST", "/endpoints/e/invocations", {}, {})
    assert runtime == ("InvokeEndpoint", {"EndpointName": "e"})
    assert rest_operations.find("lambda", "GET", "/nowhere", {}, {}) is None
    assert rest_operations.find("no-such-service", "GET", "/", {}, {}) is None


def find(method: str, path: str, query: dict[str, list[str]], environ: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The operation of an S3 request that has one."""
    found = rest_operations.find("s3", method, path, query, environ)
    assert found is not None
    return found
