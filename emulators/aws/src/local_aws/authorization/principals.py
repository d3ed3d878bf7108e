"""Who makes a call: the user, role session or administrator that an access key belongs to, with its policies.

Reads moto's IAM and STS backends, so that a changed policy counts at the next call. Authenticates as far as an emulator
can: keys must exist, session tokens must match and must not have expired; signatures are not checked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from local_aws.authorization import managed_policies
from local_aws.authorization.requirements.base import Context
from local_aws.errors import AwsError
from local_aws.iam.evaluation import NamedPolicy, Policies
from local_aws.iam.principals import ANONYMOUS

ADMINISTRATOR_POLICY = NamedPolicy(
    "AdministratorAccess",
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
    "arn:aws:iam::aws:policy/AdministratorAccess",
)
_EXPIRED = "The security token included in the request is expired"
_INVALID = "The security token included in the request is invalid"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The caller of one call.

    `arn` is the ARN in messages and resource policies, of the session for a role. `entity` is the ARN of the user or
    role: aws:PrincipalArn. `context` has the keys that describe the caller.
    """

    arn: str
    entity: str
    policies: Policies
    context: Context = field(default_factory=dict)
    administrator: bool = False


class Principals:
    """The principals of an emulator's account, by access key.

    Args:
        caller_arn, access_key: the administrator's ARN and key.
    """

    def __init__(self, *, account: str, caller_arn: str, access_key: str) -> None:
        self._account, self._administrator_key = account, access_key
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}
        self._known_sessions = 0
        self._roles: dict[str, Any] = {}
        self._claims: dict[str, Context] = {}
        entity = _entity_of(caller_arn)
        self.administrator = Principal(
            arn=caller_arn,
            entity=entity,
            policies=Policies(identity=[ADMINISTRATOR_POLICY]),
            context=_describe(entity, account, caller_arn, {}),
            administrator=True,
        )

    def of_key(self, access_key: str | None, token: str | None) -> Principal:
        """The principal that an access key belongs to; anonymous without one.

        Raises:
            AwsError: InvalidClientTokenId or ExpiredToken, for a key or session token that is not valid.
        """
        if access_key is None:
            return Principal(
                arn=ANONYMOUS, entity=ANONYMOUS, policies=Policies(), context={"aws:PrincipalType": "Anonymous"}
            )
        if access_key == self._administrator_key:
            return self.administrator
        session = self._session(access_key)
        if session is not None:
            if token != session.session_token:
                raise AwsError("InvalidClientTokenId", _INVALID, 403)
            if session.expiration.replace(tzinfo=UTC) <= datetime.now(UTC):
                raise AwsError("ExpiredToken", _EXPIRED, 403)
            return self.of_session(session)
        user = self._user(access_key)
        if user is None:
            raise AwsError("InvalidClientTokenId", _INVALID, 403)
        return self._of_user(user)

    def of_session(self, session: Any) -> Principal:
        """The principal of a role session, given as moto's record."""
        role = self.role(session.role_arn)
        if role is None:  # deleted since: its sessions stay valid and may do nothing
            return Principal(arn=session.arn, entity=session.role_arn, policies=Policies())
        context = dict(_describe(role.arn, self._account, session.arn, _tags_of(role)))
        context |= {"aws:userid": session.user_id, **self._claims.get(session.access_key_id, {})}
        return Principal(
            arn=session.arn, entity=role.arn, policies=self.role_policies(role, session.policy), context=context
        )

    def remember_claims(self, access_key: str, claims: Context) -> None:
        """Keeps the context that a web identity's token gives to its session."""
        self._claims[access_key] = claims

    def role(self, arn: str) -> Any:
        """moto's record of the role with this ARN; None if there is none."""
        from moto.iam.models import iam_backends

        roles = iam_backends[self._account]["aws"].roles
        known = self._roles.get(arn)
        if known is not None and roles.get(known.id) is known and known.arn == arn:
            return known
        found = next((role for role in list(roles.values()) if role.arn == arn), None)
        if found is not None:
            self._roles[arn] = found
        return found

    def roles(self) -> list[Any]:
        """moto's records of every role."""
        from moto.iam.models import iam_backends

        return list(iam_backends[self._account]["aws"].roles.values())

    def role_policies(self, role: Any, session_policy: str | None = None) -> Policies:
        """The policies of a role as deployed: inline and managed ones, its boundary, and its session's policy."""
        return Policies(
            identity=[*_inline(role.policies), *_managed(role.managed_policies)],
            boundary=self._boundary(role.permissions_boundary_arn),
            session=[named("session policy", session_policy)] if session_policy else [],
        )

    def user_policies(self, user: Any) -> Policies:
        """The policies of a user and of its groups."""
        from moto.iam.models import iam_backends

        groups = [g for g in list(iam_backends[self._account]["aws"].groups.values()) if user in g.users]
        identity = [*_inline(user.policies), *_managed(user.managed_policies)]
        for group in groups:
            identity += [*_inline(group.policies), *_managed(group.managed_policies)]
        return Policies(identity=identity)

    def trust_policy(self, role: Any) -> NamedPolicy:
        """The trust policy of a role."""
        return named(f"trust policy of {role.name}", role.assume_role_policy_document)

    def entity(self, arn: str) -> Policies | None:
        """The policies of the user or role with this ARN; None if there is none."""
        from moto.iam.models import iam_backends

        role = self.role(arn)
        if role is not None:
            return self.role_policies(role)
        users = list(iam_backends[self._account]["aws"].users.values())
        user = next((user for user in users if user.arn == arn), None)
        return None if user is None else self.user_policies(user)

    def _of_user(self, user: Any) -> Principal:
        from moto.iam.models import iam_backends

        tagged = iam_backends[self._account]["aws"].tagger.get_tag_dict_for_resource(user.arn)
        context = dict(_describe(user.arn, self._account, user.arn, tagged))
        context |= {"aws:userid": user.id, "aws:username": user.name}
        return Principal(arn=user.arn, entity=user.arn, policies=self.user_policies(user), context=context)

    def _session(self, access_key: str) -> Any:
        from moto.sts.models import sts_backends

        known = self._sessions.get(access_key)
        if known is not None:
            return known
        with self._lock:
            sessions = sts_backends[self._account]["aws"].assumed_roles
            for session in sessions[self._known_sessions :]:
                self._sessions[session.access_key_id] = session
            self._known_sessions = len(sessions)
            return self._sessions.get(access_key)

    def _user(self, access_key: str) -> Any:
        from moto.iam.models import iam_backends

        for user in list(iam_backends[self._account]["aws"].users.values()):
            for key in user.access_keys:
                if key.access_key_id == access_key:
                    return user if key.status == "Active" else None
        return None

    def _boundary(self, arn: str | None) -> NamedPolicy | None:
        if not arn:
            return None
        policy = managed_policies.find(self._account, arn)
        if policy is None:
            # A deleted boundary allows nothing: IAM User Guide, "Permissions boundaries for IAM entities".
            return named(arn, '{"Version": "2012-10-17", "Statement": []}', arn)
        return named(policy.name, _default_document(policy), arn)


@lru_cache(maxsize=4096)
def _parsed_once(name: str, document: str, arn: str | None) -> NamedPolicy:
    return NamedPolicy(name, unquote(document) if document.startswith("%7B") else document, arn)


def named(name: str, document: str | bytes | Mapping[str, Any], arn: str | None = None) -> NamedPolicy:
    """A policy with its name; the same document gives the same object, so that it is parsed once."""
    if isinstance(document, bytes):
        document = document.decode()
    text = document if isinstance(document, str) else json.dumps(document)
    return _parsed_once(name, text, arn)


def _inline(policies: Mapping[str, Any]) -> Sequence[NamedPolicy]:
    return [named(name, document) for name, document in list(policies.items())]


def _managed(policies: Mapping[str, Any]) -> Sequence[NamedPolicy]:
    return [named(policy.name, _default_document(policy), arn) for arn, policy in list(policies.items())]


def _default_document(policy: Any) -> str:
    return str(next(v.document for v in policy.versions if v.version_id == policy.default_version_id))


def _tags_of(role: Any) -> Mapping[str, str]:
    from moto.iam.models import iam_backends

    found: Mapping[str, str] = iam_backends[role.account_id]["aws"].tagger.get_tag_dict_for_resource(role.arn)
    own = {tag["Key"]: tag["Value"] for tag in role.tags or []}
    return {**own, **found}


def _entity_of(arn: str) -> str:
    """aws:PrincipalArn: the role of a session, otherwise the ARN itself."""
    head, _, rest = arn.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.split('/')[0]}" if rest else arn


def _describe(entity: str, account: str, arn: str, tagged: Mapping[str, str]) -> Context:
    kinds = {":assumed-role/": "AssumedRole", ":user/": "User", ":root": "Account"}
    return {
        "aws:PrincipalArn": entity,
        "aws:PrincipalAccount": account,
        "aws:PrincipalType": next((kind for part, kind in kinds.items() if part in arn), "AssumedRole"),
        "aws:PrincipalIsAWSService": "false",
        **{f"aws:PrincipalTag/{key}": value for key, value in tagged.items()},
    }
