"""Creates every boto3 client of the product, and translates AWS errors into messages.

It may not know what the calls are for, nor whether the endpoint is AWS or a laptop: boto3 reads AWS_ENDPOINT_URL by
itself, and nothing here looks at it except to keep clients of different clouds apart.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ml.aws import oidc_credentials
from ml.errors import CloudError

# What a client takes from the environment when it is made: a cached one is right only for the same values.
_READ_ONCE = (
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    *oidc_credentials.READ,
)


ATTEMPTS = 8
"""How often a call is made at most before its failure is told."""


def client(service: str, *, attempts: int = ATTEMPTS) -> Any:
    """The boto3 client of `service`, made once per cloud and identity; throttling and 5xx are retried, adaptively.

    Args:
        attempts: how often each call is made at most; fewer for whoever tries again by itself.

    Raises:
        CloudError: no region is set, or `service` is not one that boto3 knows.
    """
    return _client(service, attempts, tuple(os.environ.get(name) for name in _READ_ONCE))


@functools.lru_cache(maxsize=64)
def _client(service: str, attempts: int, _environment: tuple[str | None, ...]) -> Any:
    import boto3.session
    import botocore.session
    from botocore.config import Config

    with explained(f"making a client of {service}"):
        # AWS_REGION is what GitHub's credentials action and Lambda set; boto3 itself reads only AWS_DEFAULT_REGION.
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        # A session of its own: boto3's default session is not safe to make clients from in several threads.
        shared = _workflow_credentials(region, _environment) if oidc_credentials.wanted() else None
        own: Any = oidc_credentials.session(shared) if shared is not None else botocore.session.get_session()
        own.register_component("data_loader", _loader())
        make: Any = boto3.session.Session(region_name=region, botocore_session=own).client
        return make(
            service,
            config=Config(
                retries={"mode": "adaptive", "total_max_attempts": attempts},
                connect_timeout=10,
                read_timeout=75,  # an endpoint may take 60 s to answer
                user_agent_extra="app/fraudops",
            ),
        )


@functools.cache
def _loader() -> Any:
    """One for all sessions: each reads megabytes of JSON about AWS, which takes longer than most calls."""
    from botocore.loaders import create_loader

    return create_loader()


@functools.lru_cache(maxsize=8)
def _workflow_credentials(region: str | None, _environment: tuple[str | None, ...]) -> Any:
    """One for all clients, so that a job takes its role once an hour and not once for each service."""
    return oidc_credentials.credentials(region)


def renew() -> None:
    """Forgets every client, so that the next one reads the credentials anew: a long wait outlives a session."""
    _client.cache_clear()
    _workflow_credentials.cache_clear()


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turns boto3's failures inside the block into one CloudError that says what was being done and why it failed."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

    try:
        yield
    except ClientError as error:
        problem = error.response.get("Error", {})
        reason = f"{problem.get('Code', 'error')}: {problem.get('Message', error)}"
        raise CloudError(f"{doing}: {error.operation_name} was refused with {reason}") from error
    except NoCredentialsError as error:
        raise CloudError(
            f"{doing}: no AWS credentials found; sign in, or start the local cloud with `fraudops local up`"
        ) from error
    except NoRegionError as error:
        raise CloudError(f"{doing}: no AWS region is set; set AWS_REGION") from error
    except BotoCoreError as error:
        raise CloudError(f"{doing}: AWS cannot be reached ({error})") from error


def code(error: BaseException) -> str:
    """The error code that AWS gave (`NoSuchKey`, `ValidationException`), or '' where `error` is not AWS's."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
