"""Images in ECR on a moto server."""

from __future__ import annotations

import json

import pytest

from ml.aws import container_images
from ml.aws.session import client
from ml.errors import CloudError
from tests.harness.aws import moto_server

DIGEST = f"sha256:{'a' * 64}"


def test_uri_is_parsed() -> None:
    """China's domain has one more part; another form is an error."""
    found = container_images.parse(f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/serving@{DIGEST}")
    assert (found.account, found.region, found.name) == ("123456789012", "cn-north-1", "team/serving")
    assert found.digest == DIGEST
    with pytest.raises(ValueError, match=r"must be ACCOUNT.*got 'python:3.12'"):
        container_images.parse("python:3.12")


def test_tagged_image_has_its_digest_and_media_type(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """None without the tag; an absent repository is an error."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    client("ecr").create_repository(repositoryName="serving")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "m", "config": {}, "layers": []})
    put = client("ecr").put_image(repositoryName="serving", imageManifest=manifest, imageTag="1")
    found = container_images.tagged("serving", "1")
    assert found is not None
    assert found.uri.endswith(f"/serving@{put['image']['imageId']['imageDigest']}")
    assert found.media_type == "m"
    assert container_images.tagged("serving", "2") is None
    with pytest.raises(CloudError, match="looking for the image other:1"):
        container_images.tagged("other", "1")


def test_image_exists_by_its_digest(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither another digest nor another repository does; no answer is an error."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    client("ecr").create_repository(repositoryName="serving")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "m", "config": {}, "layers": []})
    put = client("ecr").put_image(repositoryName="serving", imageManifest=manifest, imageTag="1")
    digest = put["image"]["imageId"]["imageDigest"]
    known = {("serving", digest): True, ("serving", DIGEST): False, ("other", digest): False}
    for (name, which), expected in known.items():
        uri = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{name}@{which}"
        assert container_images.exists(container_images.parse(uri)) is expected
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(CloudError, match="looking for the image serving"):
        container_images.exists(
            container_images.parse(f"123456789012.dkr.ecr.us-east-1.amazonaws.com/serving@{DIGEST}")
        )
