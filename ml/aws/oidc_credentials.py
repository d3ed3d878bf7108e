"""Obtains AWS credentials for a workflow job with its OIDC token, and renews them before they expire.

A session lasts an hour and a training may last longer, so botocore assumes the role again when needed. Stores nothing:
neither the token nor the credentials leave the process.
"""

from __future__ import annotations

import json
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from ml.aws import session_policies
from ml.errors import CloudError

AUDIENCE = "sts.amazonaws.com"
READ = ("FRAUDOPS_ROLE_ARN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
"""Environment variables: the role, and URL and bearer token of the OIDC token request."""
_TIMEOUT_SECONDS = 30
_ATTEMPTS = 5
_INVALID_IN_NAME = re.compile(r"[^\w+=,.@-]")


def wanted() -> bool:
    """Whether this job has a role to assume and may request a token."""
    return all(os.environ.get(name) for name in READ)


def credentials(region: str | None) -> Any:
    """botocore's credentials of the role FRAUDOPS_ROLE_ARN: fetched on first use, renewed before they expire."""
    from botocore.credentials import DeferredRefreshableCredentials

    # botocore logs a failed refresh with a traceback and then raises it. The raised error is enough.
    logging.getLogger("botocore.credentials").addHandler(logging.NullHandler())
    make: Any = DeferredRefreshableCredentials
    return make(refresh_using=lambda: _assume_role(os.environ["FRAUDOPS_ROLE_ARN"], region), method="github-oidc")


def session(shared: Any) -> Any:
    """A botocore session that signs with the credentials `shared`; several sessions may share them."""
    from botocore.session import get_session

    made: Any = get_session()
    made._credentials = shared  # botocore has no public API for self-renewing credentials
    return made


def _assume_role(role: str, region: str | None) -> dict[str, str]:
    import boto3.session
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import ClientError

    named = os.environ.get(session_policies.VARIABLE)
    limited = {"Policy": session_policies.document(named)} if named else {}
    unsigned = Config(signature_version=UNSIGNED, retries={"mode": "standard", "max_attempts": _ATTEMPTS})
    sts: Any = boto3.session.Session(region_name=region).client("sts", config=unsigned)
    try:
        taken = sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName=session_name(), WebIdentityToken=token(), **limited
        )["Credentials"]
    except ClientError as error:
        problem = error.response.get("Error", {})
        raise CloudError(
            f"AWS does not let this workflow assume {role} ({problem.get('Code')}: {problem.get('Message')}); the "
            "role's trust policy names one repository and one branch or environment: compare it with "
            "infra/github-oidc.yaml"
        ) from error
    return {
        "access_key": taken["AccessKeyId"],
        "secret_key": taken["SecretAccessKey"],
        "token": taken["SessionToken"],
        "expiry_time": taken["Expiration"].isoformat(),
    }


def token() -> str:
    """A new OIDC token of this job for AWS. CloudError if GitHub does not issue one."""
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

    separator = "&" if "?" in os.environ["ACTIONS_ID_TOKEN_REQUEST_URL"] else "?"
    url = f"{os.environ['ACTIONS_ID_TOKEN_REQUEST_URL']}{separator}audience={urllib.parse.quote(AUDIENCE)}"
    if urllib.parse.urlsplit(url).scheme not in ("https", "http"):
        raise CloudError("ACTIONS_ID_TOKEN_REQUEST_URL must be an http(s) URL")
    request = urllib.request.Request(  # noqa: S310 - the scheme was just checked
        url, headers={"Authorization": f"Bearer {os.environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    )
    again = Retrying(
        retry=retry_if_exception(_is_transient),
        wait=wait_exponential_jitter(multiplier=0.5, max=10),
        stop=stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    try:
        return str(json.loads(again(_get, request))["value"])
    except (OSError, ValueError, KeyError) as error:
        raise CloudError(
            f"GitHub issued no OIDC token for this job ({error}); the job needs `permissions: id-token: write`"
        ) from error


def session_name() -> str:
    """The role session name in CloudTrail: it names the workflow run, in at most 64 characters."""
    run, attempt = (os.environ.get(f"GITHUB_{key}", "") for key in ("RUN_ID", "RUN_ATTEMPT"))
    name = "-".join(part for part in ("fraudops", os.environ.get("GITHUB_JOB", ""), run, attempt) if part)
    return _INVALID_IN_NAME.sub("-", name)[:64]


def _get(request: urllib.request.Request) -> bytes:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        error.close()  # releases the connection
        raise


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code == 429
    return isinstance(error, OSError)
