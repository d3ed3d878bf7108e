"""A moto server on loopback, for tests that need HTTP to AWS; not a test itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from local_aws import http_server, moto_patches
from local_aws.server import ACCOUNT
from moto.server import DomainDispatcherApplication, create_backend_app


@contextmanager
def served() -> Iterator[str]:
    """The server's URL on a free port, for the length of the block."""
    moto_patches.cache_module_list()
    server = http_server.listen(0)
    http_server.serve(server, DomainDispatcherApplication(create_backend_app))
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes boto3 use `url`, with invalid credentials for AWS."""
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)


def make_bucket(name: str) -> str:
    """Creates an empty bucket."""
    from ml.aws.session import client

    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def store(bucket: str, key: str, content: bytes) -> None:
    """Stores an object without a request, which takes most of the time of storing it."""
    from moto.s3.models import s3_backends

    s3_backends[ACCOUNT]["aws"].put_object(bucket, key, content)


def reset(url: str) -> None:
    """Empties the server: moto's state is that of the process, so it has the resources of earlier tests."""
    from urllib.request import Request, urlopen

    with urlopen(Request(f"{url}/moto-api/reset", method="POST")):  # noqa: S310 - our own server on loopback
        pass
