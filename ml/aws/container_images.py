"""Reads which images ECR has, and the login for docker. Pushes and deletes nothing."""

from __future__ import annotations

import base64
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


@dataclass(frozen=True, kw_only=True)
class Login:
    """What `docker login` takes; the password is valid for twelve hours."""

    registry: str
    user: str
    password: str


def login() -> Login:
    """The login of the caller's registry in this session's region; CloudError if ECR refuses it."""
    with session.explained("getting a login for ECR"):
        (found,) = session.client("ecr").get_authorization_token()["authorizationData"]
    user, _, password = base64.b64decode(found["authorizationToken"]).decode().partition(":")
    return Login(registry=found["proxyEndpoint"].removeprefix("https://"), user=user, password=password)


@dataclass(frozen=True, kw_only=True)
class TaggedImage:
    """An image of a repository: its URI by digest, and the media type of its manifest."""

    uri: str
    media_type: str


def tagged(name: str, tag: str) -> TaggedImage | None:
    """The image with a tag in the repository `name`; None if there is no such image.

    Raises:
        CloudError: there is no such repository, or ECR does not say.
    """
    with session.explained(f"looking for the image {name}:{tag}"):
        ecr = session.client("ecr")
        (repository,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
        try:
            (found,) = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])["imageDetails"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ImageNotFoundException":
                return None
            raise
    return TaggedImage(
        uri=f"{repository['repositoryUri']}@{found['imageDigest']}", media_type=found["imageManifestMediaType"]
    )


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
