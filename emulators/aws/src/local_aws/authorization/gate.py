"""The gate in front of every handler: authenticates a request and authorizes its call.

`principal` holds the caller of the current call, for the handlers that act on its behalf. Answers nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import parse_qs

from local_aws import protocols
from local_aws.authorization import calls
from local_aws.authorization.authorizer import Authorizer
from local_aws.authorization.principals import Principal
from local_aws.errors import AwsError

principal: ContextVar[Principal | None] = ContextVar("principal", default=None)
"""The caller of the current call; None outside of a call and in calls of the emulator itself."""

_NOT_AUTHENTICATED: Mapping[str, Mapping[str, tuple[str, str, int]]] = {
    "InvalidClientTokenId": {
        "s3": ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
        "json": ("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
    },
    "ExpiredToken": {
        "s3": ("ExpiredToken", "The provided token has expired.", 400),
        "json": ("ExpiredTokenException", "The security token included in the request is expired", 400),
    },
}
"""How services answer for keys that are not valid: S3, and those whose protocol is JSON."""


_PRESIGNED = ("AWSAccessKeyId=", "X-Amz-Credential=")  # of signature versions 2 and 4


class Gate:
    """Admits requests. Those that are signed with `internal_key`, the emulator's own work, pass unseen."""

    def __init__(self, authorizer: Authorizer, *, account: str, region: str, internal_key: str) -> None:
        self._authorizer, self._account, self._region = authorizer, account, region
        self._internal_key = internal_key

    def admit(self, environ: dict[str, Any], request: protocols.Request, service: str = "") -> Principal | None:
        """The caller of an authorized request; None for the emulator itself.

        Args:
            service: the service that answers, where the signature does not name it.

        Raises:
            AwsError: the caller is not known or may not do this.
        """
        access_key, token = _credentials(environ, request)
        if access_key == self._internal_key:
            return None
        try:
            caller = self._authorizer.principals.of_key(access_key, token)
        except AwsError as error:
            raise _for_protocol(request, error) from error
        call = calls.read(environ, request, service=service, account=self._account, region=self._region)
        self._authorizer.authorize(caller, call)
        return caller


def _credentials(environ: Mapping[str, Any], request: protocols.Request) -> tuple[str | None, str | None]:
    """Access key and session token, in headers or in the query of a presigned URL."""
    query = environ.get("QUERY_STRING", "")
    if request.access_key is not None or not any(name in query for name in _PRESIGNED):
        return request.access_key, environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
    values = {name.lower(): found[0] for name, found in parse_qs(query).items()}
    key = values.get("awsaccesskeyid") or values.get("x-amz-credential", "").split("/")[0]
    return key, values.get("x-amz-security-token")


def _for_protocol(request: protocols.Request, error: AwsError) -> AwsError:
    family = "s3" if request.service == "s3" else "json" if "json" in request.protocol else ""
    known = _NOT_AUTHENTICATED.get(error.code, {}).get(family)
    return AwsError(*known) if known else error
