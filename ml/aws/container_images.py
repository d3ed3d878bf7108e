"""Reads whether ECR has an image. Pushes and deletes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ml.aws import session

_URI = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^@]+)@(?P<digest>.+)"
)
_ABSENT = ("ImageNotFoundException", "RepositoryNotFoundException")


@dataclass(frozen=True, kw_only=True)
class ContainerImage:
    """The parts of an image's URI."""

    account: str
    region: str
    name: str
    digest: str


def parse(uri: str) -> ContainerImage:
    """The parts of the URI of an image in ECR by digest, as production.yaml's schema accepts it; else a ValueError."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"must be ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@DIGEST (got {uri!r})")
    return ContainerImage(account=match["account"], region=match["region"], name=match["name"], digest=match["digest"])


def exists(image: ContainerImage) -> bool:
    """Whether ECR has the image; CloudError if ECR does not say."""
    with session.explained(f"looking for the image {image.name}"):
        try:
            session.client("ecr").describe_images(
                registryId=image.account, repositoryName=image.name, imageIds=[{"imageDigest": image.digest}]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return False
            raise
        return True
