"""Operations of REST requests: method, path, query and headers of botocore's service models."""

from __future__ import annotations

from typing import Any

import pytest
from local_aws.validation import request_input, service_models
from local_aws.validation.request_input import UnreadBody


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
        ("PUT /b", "lifecycle", "PutBucketLifecycleConfiguration"),
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
    values = {name: ["2" if name in ("list-type", "partNumber") else ""] for name in query.split()}
    assert find(method, path, values, {})[0] == operation


def test_header_distinguishes_a_copy() -> None:
    """CopyObject and UploadPartCopy are PutObject and UploadPart with a source in a header."""
    headers = {"x-amz-copy-source": "/other/key"}
    part = {"partNumber": ["1"], "uploadId": ["u"]}
    assert find("PUT", "/b/k", {}, headers)[0] == "CopyObject"
    assert find("PUT", "/b/k", part, headers)[0] == "UploadPartCopy"
    assert find("PUT", "/b/k", {}, headers)[1]["CopySource"] == "/other/key"


def test_parameters_come_from_path_query_and_headers() -> None:
    """By their API names; a key keeps its slashes."""
    operation, parameters = find("GET", "/b/a/b c/ü", {"versionId": ["7"]}, {"if-match": "e"})
    assert operation == "GetObject"
    assert parameters == {"Bucket": "b", "Key": "a/b c/ü", "VersionId": "7", "IfMatch": "e"}


def test_other_services_have_their_own_paths() -> None:
    """Lambda and the SageMaker runtime; a path or service that does not exist has no operation."""
    for service, path, operation, labels in (
        ("lambda", "/2015-03-31/functions/f/invocations", "Invoke", {"FunctionName": "f"}),
        ("sagemaker-runtime", "/endpoints/e/invocations", "InvokeEndpoint", {"EndpointName": "e"}),
    ):
        found = service_models.route(service, "POST", path, {}, {})
        assert found is not None
        assert (found[0].name, found[1]) == (operation, labels)
    assert service_models.route("lambda", "GET", "/nowhere", {}, {}) is None
    assert service_models.route("no-such-service", "GET", "/", {}, {}) is None


def find(method: str, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """The operation of an S3 request that has one, and its parameters in path, query and headers."""
    found = service_models.route("s3", method, path, query, headers)
    assert found is not None
    operation, labels = found
    return operation.name, request_input.from_rest(operation, labels, query, headers, UnreadBody())
