"""AssumeRoleWithWebIdentity: verifies the token and evaluates the role's trust policy, which moto does not.

Keys come from `trust_issuer`, never from the network, so that an emulated issuer can sign under the name of a real one.
Condition keys are the provider's `sub` and `aud`. Token times are compared with real time, not with the emulator's
clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local_aws.authorization.decision_log import DecisionLog
from local_aws.authorization.principals import Principal, Principals
from local_aws.errors import AwsError
from local_aws.iam.evaluation import AccessRequest, Policies, evaluate
from local_aws.sts import assume_role

_ACTION = "sts:AssumeRoleWithWebIdentity"
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}\Z", re.ASCII)
_MIN_SECONDS, _DEFAULT_SECONDS = 900, 3600
_LEEWAY_SECONDS = 60

Keys = Callable[[], Mapping[str, Any]]
"""Returns an issuer's current JSON Web Key Set."""


class WebIdentityFederation:
    """Issues a role's credentials to callers whose token the role's trust policy accepts."""

    def __init__(self, *, account: str, region: str, principals: Principals) -> None:
        self._account, self._region, self._principals = account, region, principals
        self._keys: dict[str, Keys] = {}
        self.log: DecisionLog | None = None
        """The log that gets the decisions on trust policies; None before the emulator has started."""

    def trust_issuer(self, issuer: str, keys: Keys) -> None:
        """Registers the keys of `issuer` (its `iss`). The account also needs an identity provider for it."""
        self._keys[issuer] = keys

    def assume_role_with_web_identity(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """AssumeRoleWithWebIdentity, with AWS's errors."""
        from moto.sts.models import sts_backends

        assume_role.refuse_members(parameters, "AssumeRoleWithWebIdentity")
        name = parameters.get("RoleSessionName", "")
        if not _SESSION_NAME.match(name):
            raise AwsError("ValidationError", f"Value '{name}' at 'roleSessionName' failed to satisfy constraint")
        claims = self._verify(parameters.get("WebIdentityToken", ""))
        host = claims["iss"].removeprefix("https://")
        provider = f"arn:aws:iam::{self._account}:oidc-provider/{host}"
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        self._check_provider(provider, claims["iss"], audiences)
        role = self._role(parameters.get("RoleArn", ""))
        claimed = {
            f"{host}:sub": claims["sub"],
            f"{host}:aud": audiences[0] if len(audiences) == 1 else tuple(audiences),
        }
        context = {**claimed, "sts:RoleSessionName": name, "aws:FederatedProvider": provider}
        request = AccessRequest(principal=provider, action=_ACTION, resource=role.arn, context=context)
        decision = evaluate(request, Policies(resource=self._principals.trust_policy(role)))
        if self.log is not None:
            self.log.write(Principal(arn=provider, entity=provider, policies=Policies()), _ACTION, decision)
        if not decision.allowed:
            raise AwsError("AccessDenied", decision.message(), 403)
        session = sts_backends[self._account]["aws"].assume_role(
            region_name=self._region,
            role_session_name=name,
            role_arn=role.arn,
            policy=parameters.get("Policy"),
            duration=_duration(parameters.get("DurationSeconds"), role.max_session_duration),
            external_id=None,
        )
        # What stays with the session: IAM User Guide, "Available keys for AWS OIDC federation".
        self._principals.remember_claims(session.access_key_id, {**claimed, "aws:FederatedProvider": provider})
        return {
            "Credentials": {
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key,
                "SessionToken": session.session_token,
                "Expiration": session.expiration.replace(tzinfo=UTC),
            },
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
            "SubjectFromWebIdentityToken": claims["sub"],
            "Provider": provider,
            "Audience": audiences[0],
            "PackedPolicySize": 0,
        }

    def _verify(self, token: str) -> dict[str, Any]:
        """The claims of `token`, if its signature is valid and it has not expired."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
        except jwt.InvalidTokenError as error:
            raise _invalid("The ID Token provided is not a valid JWT") from error
        if issuer not in self._keys:
            raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
        keys = {key.key_id: key for key in jwt.PyJWKSet.from_dict(dict(self._keys[issuer]())).keys}
        key = keys.get(header.get("kid"))
        if key is None:
            raise _invalid("Couldn't retrieve verification key from your identity provider")
        required = ["exp", "iat", "iss", "sub", "aud"]
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=["RS256"],
                issuer=issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": required, "verify_aud": False, "verify_exp": False},
            )
        except jwt.InvalidTokenError as error:
            raise _invalid(f"The web identity token could not be verified: {error}") from error
        now, expires = datetime.now(UTC), datetime.fromtimestamp(int(claims["exp"]), UTC)
        if now >= expires:
            times = f"current date/time {now:%Y-%m-%dT%H:%M:%SZ} must be before the expiration date/time"
            raise AwsError("ExpiredTokenException", f"Token expired: {times} {expires:%Y-%m-%dT%H:%M:%SZ}")
        return claims

    def _check_provider(self, arn: str, issuer: str, audiences: list[str]) -> None:
        from moto.iam.models import iam_backends

        provider = iam_backends[self._account]["aws"].open_id_providers.get(arn)
        if provider is None:
            raise _invalid(f"No OpenIDConnect provider found in your account for {issuer}")
        if not set(audiences) & set(provider.client_id_list):
            raise _invalid("Incorrect token audience")

    def _role(self, arn: str) -> Any:
        from moto.iam.models import iam_backends

        roles = iam_backends[self._account]["aws"].roles.values()
        role = next((role for role in roles if role.arn == arn), None)
        if role is None:  # AWS does not reveal whether a role exists
            raise _denied()
        return role


def _duration(requested: int | None, role_limit: Any) -> int:
    max_seconds = int(role_limit or _DEFAULT_SECONDS)
    seconds = requested or _DEFAULT_SECONDS
    if seconds < _MIN_SECONDS:
        raise AwsError(
            "ValidationError",
            f"Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: "
            f"Member must have value greater than or equal to {_MIN_SECONDS}",
        )
    if seconds > max_seconds:
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return seconds


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidIdentityToken", message)


def _denied() -> AwsError:
    return AwsError("AccessDenied", f"Not authorized to perform {_ACTION}", 403)
