"""Reading model packages from moto's registry."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from ml.aws import registry, session
from ml.errors import CloudError, DataError
from tests.harness.aws.scripted_sagemaker import ScriptedCloud

GROUP = "fraudops-model"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedCloud]:
    """moto over HTTP, with a bucket and a group."""
    with ScriptedCloud() as scripted:
        for name, value in scripted.environment.items():
            monkeypatch.setenv(name, value)
        session.client("s3").create_bucket(Bucket="lake")
        session.client("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
        yield scripted


def register(**metadata: str) -> str:
    """Registers a package as the pipeline does and returns its ARN."""
    container = {"Image": "image:1", "ModelDataUrl": "s3://lake/model.tar.gz", "Environment": {"A": "b"}}
    statistics = {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://lake/evaluation.json"}}
    answer = session.client("sagemaker").create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus=registry.PENDING,
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
        ModelMetrics={"ModelQuality": statistics},
        CustomerMetadataProperties=metadata or {"commit": "c" * 40},
    )
    return str(answer["ModelPackageArn"])


def test_package_is_read_as_plain_values(cloud: ScriptedCloud) -> None:
    """ARN, version, status, URIs of archive and evaluation, container and metadata."""
    found = registry.package(register(commit="c" * 40, artifact_sha256="a" * 64))
    assert (found.group, found.version, found.status) == (GROUP, 1, "PendingManualApproval")
    assert (found.model_data_url, found.evaluation_uri) == ("s3://lake/model.tar.gz", "s3://lake/evaluation.json")
    assert (found.image, found.environment) == ("image:1", {"A": "b"})
    assert found.artifact_sha256 == "a" * 64


def test_metadata_is_read_without_its_prefix(cloud: ScriptedCloud) -> None:
    """SageMaker rejects empty values, so the pipeline prefixes them; readers get the plain value."""
    found = registry.package(register(requests="=", window_start="=2026-01-01T00:00:00Z", commit="c" * 40))
    assert found.metadata == {"requests": "", "window_start": "2026-01-01T00:00:00Z", "commit": "c" * 40}


def test_packages_are_listed_oldest_first(cloud: ScriptedCloud) -> None:
    """All versions of a group, or those with a given status."""
    first, second = register(), register()
    registry.set_status(second, registry.APPROVED, "approval 0002\nmerged")
    assert [found.version for found in registry.packages(GROUP)] == [1, 2]
    (approved,) = registry.packages(GROUP, status=registry.APPROVED)
    assert (approved.arn, approved.reason) == (second, "approval 0002 merged")
    assert registry.package(first).status == registry.PENDING


def test_missing_package_is_an_error(cloud: ScriptedCloud) -> None:
    """The error has the ARN and the next step."""
    arn = register().rsplit("/", 1)[0] + "/7"
    with pytest.raises(CloudError, match=f"no model package {arn}.*Check the account and region"):
        registry.package(arn)


def test_package_without_container_is_refused(cloud: ScriptedCloud) -> None:
    """A package without a container or version was not registered by this project."""
    answer = session.client("sagemaker").create_model_package(ModelPackageName="of-someone-else")
    with pytest.raises(CloudError, match="this project did not register it"):
        registry.package(answer["ModelPackageArn"])


def test_digest_is_that_of_the_objects_bytes(cloud: ScriptedCloud) -> None:
    """The object is read in chunks; the digest is that of all bytes."""
    body = bytes(range(256)) * 8192 + b"end"
    session.client("s3").put_object(Bucket="lake", Key="folder/model.tar.gz", Body=body)
    assert registry.digest("s3://lake/folder/model.tar.gz") == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("uri", ["", "lake/model.tar.gz", "https://lake/model.tar.gz", "s3://lake", "s3://lake/"])
def test_invalid_object_uri_is_refused(cloud: ScriptedCloud, uri: str) -> None:
    """Only s3://BUCKET/KEY is accepted."""
    with pytest.raises(DataError, match="s3://BUCKET/KEY"):
        registry.digest(uri)


@pytest.mark.parametrize(("text", "reason"), [(b"{", "is not JSON"), (b"[]", "got list")])
def test_invalid_evaluation_is_an_error(cloud: ScriptedCloud, text: bytes, reason: str) -> None:
    """An evaluation that is not a JSON object is refused with its URI."""
    session.client("s3").put_object(Bucket="lake", Key="evaluation.json", Body=text)
    with pytest.raises(CloudError, match=f"s3://lake/evaluation.json.*{reason}"):
        registry.evaluation(registry.package(register(evaluation_sha256=hashlib.sha256(text).hexdigest())))
