"""Creates every boto3 client of the product, and translates AWS errors into messages.

Knows neither what the calls are for nor whether the endpoint is AWS or the emulator: boto3 reads AWS_ENDPOINT_URL
itself, and this module uses it only as a cache key.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ml.aws import oidc_credentials, session_policies
from ml.errors import CloudError

_CLIENT_VARIABLES = (
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    *oidc_credentials.READ,
    session_policies.VARIABLE,
)
"""Environment variables that a client reads when it is created: the cache key of clients and sessions.

A session keeps what it has found for every service that is asked for later, so everything that decides it is here.
"""


_REJECTED = (
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthFailure",
)
"""AWS's codes for credentials that are expired or wrong. Source: IAM, "Common errors"; S3, "Error responses"."""
ATTEMPTS = 8
"""Maximum number of attempts of a call before it fails."""
_creation = threading.RLock()
"""Held while a client is created: a session cannot create clients safely in several threads."""


class NotSignedIn(CloudError):
    """There are no AWS credentials that AWS accepts: none, expired or wrong ones, or an unknown profile."""


class Absent(CloudError):
    """AWS answered that what was asked for does not exist: an object, a role, a policy or a model package."""


_ABSENT = ("NoSuchKey", "NoSuchEntity", "NoSuchEntityException")
"""The codes of an answer that an object of S3, or a role or policy of IAM, does not exist. A missing bucket is none."""


def client(service: str, *, attempts: int = ATTEMPTS) -> Any:
    """The boto3 client of `service`, cached per endpoint and identity; throttling and 5xx are retried adaptively.

    Args:
        attempts: the maximum number of attempts of each call; fewer for callers with retries themselves.

    Raises:
        CloudError: no region is set, or `service` is not one that boto3 knows.
    """
    return _client(service, attempts, tuple(os.environ.get(name) for name in _CLIENT_VARIABLES))


@functools.lru_cache(maxsize=64)
def _client(service: str, attempts: int, _environment: tuple[str | None, ...]) -> Any:
    from botocore.config import Config

    with explained(f"creating a client of {service}"), _creation:
        made: Any = _session(region(), _environment).client(
            service,
            config=Config(
                retries={"mode": "adaptive", "total_max_attempts": attempts},
                connect_timeout=10,
                read_timeout=75,  # an endpoint may take 60 s to answer
                user_agent_extra="app/fraudops",
            ),
        )
        made.meta.events.register("needs-retry", functools.partial(_retry_incomplete, attempts_allowed=attempts))
        return made


@functools.lru_cache(maxsize=8)
def _session(region: str | None, _environment: tuple[str | None, ...]) -> Any:
    """The boto3 session of all clients of an identity: creating one takes as long as creating a client.

    Sharing it also shares the credentials, so that a job assumes its role once an hour and not once per service.
    """
    import boto3.session
    import botocore.session

    shared = oidc_credentials.credentials(region) if oidc_credentials.wanted() else None
    own: Any = oidc_credentials.session(shared) if shared is not None else botocore.session.get_session()
    own.register_component("data_loader", _loader())
    own.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_time)
    return boto3.session.Session(region_name=region, botocore_session=own)


def _retry_incomplete(
    *, response: tuple[Any, Any] | None, operation: Any, attempts: int, attempts_allowed: int, **_: Any
) -> float | None:
    """Asks botocore to try again if a response's body is shorter than its header says; a handler of `needs-retry`.

    botocore itself does not compare them, and parses half a JSON document as an answer without members.

    Raises:
        IncompleteReadError: it was tried often enough.
    """
    from botocore.exceptions import IncompleteReadError

    if response is None or operation.has_streaming_output or operation.http.get("method") == "HEAD":
        return None
    stated, received = response[0].headers.get("Content-Length", ""), len(response[0].content)
    if not stated.isdigit() or received >= int(stated):
        return None
    if attempts >= attempts_allowed:
        raise IncompleteReadError(actual_bytes=received, expected_bytes=int(stated))
    return 0.0


def region() -> str | None:
    """The region that the environment names; None if it names none, and a profile or AWS's own tools may name one.

    AWS_REGION is what GitHub's credentials action and Lambda set; boto3 itself reads only AWS_DEFAULT_REGION.
    """
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


@functools.cache
def _loader() -> Any:
    """One loader for all sessions: each one parses megabytes of service definitions, which takes botocore long."""
    import gzip
    import json

    from botocore.loaders import JSONFileLoader, create_loader

    class FastFileLoader(JSONFileLoader):
        """Loads the files that botocore's own loader does, `NAME.json` or `NAME.json.gz`, into plain dictionaries."""

        def load_file(self, file_path: str) -> Any:
            plain, packed = Path(f"{file_path}.json"), Path(f"{file_path}.json.gz")
            if plain.is_file():
                return json.loads(plain.read_bytes())
            return json.loads(gzip.decompress(packed.read_bytes())) if packed.is_file() else None

    loader = create_loader()
    loader.file_loader = FastFileLoader()
    return loader


def parse_time(value: Any) -> datetime:
    """A time in a response: botocore's parser, which takes a tenth of a millisecond, only for what is not ISO 8601."""
    from botocore.utils import parse_timestamp

    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = datetime.min
    parsed: datetime = moment if moment.tzinfo is not None else parse_timestamp(value)
    return parsed


def renew() -> None:
    """Clears the client cache, so that the next client reads the credentials again: a wait may outlast a session."""
    _client.cache_clear()
    _session.cache_clear()


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turns boto3 errors inside the block into a CloudError that names the operation and the reason.

    Raises:
        NotSignedIn: the caller has no valid credentials.
        Absent: there is no such object, role or policy.
        CloudError: AWS refused the operation for another reason, or cannot be reached.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
        ProfileNotFound,
        SSOError,
        TokenRetrievalError,
    )

    try:
        yield
    except ClientError as error:
        problem = error.response.get("Error", {})
        reason = f"{problem.get('Code', 'error')}: {problem.get('Message', error)}"
        refused = f"{doing}: {error.operation_name} was refused with {reason}"
        if problem.get("Code") in _REJECTED:
            raise NotSignedIn(f"{refused}; the AWS credentials are expired or wrong: sign in again") from error
        if problem.get("Code") in _ABSENT:
            raise Absent(refused) from error
        raise CloudError(refused) from error
    except NoCredentialsError as error:
        raise NotSignedIn(
            f"{doing}: no AWS credentials found; sign in, or start the AWS emulator with `fraudops local up`"
        ) from error
    except ProfileNotFound as error:
        raise NotSignedIn(
            f"{doing}: {error}; set AWS_PROFILE to one that `aws configure list-profiles` lists"
        ) from error
    except (SSOError, TokenRetrievalError, CredentialRetrievalError, PartialCredentialsError) as error:
        raise NotSignedIn(f"{doing}: the AWS credentials cannot be used ({error}); sign in again") from error
    except NoRegionError as error:
        raise CloudError(f"{doing}: no AWS region is set; set AWS_REGION") from error
    except BotoCoreError as error:
        raise CloudError(f"{doing}: AWS cannot be reached ({error})") from error


def code(error: BaseException) -> str:
    """The AWS error code (`NoSuchKey`, `ValidationException`); '' if `error` is not an AWS error."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
