"""Requirements of AWS IAM's and AWS STS's operations.

Source: Service Authorization Reference, "AWS Identity and Access Management (IAM)" and "AWS Security Token Service".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement, Rule, on_everything, tags

_ROLE_OPERATIONS = (
    "AttachRolePolicy", "CreateRole", "DeleteRole", "DeleteRolePermissionsBoundary", "DeleteRolePolicy",
    "DetachRolePolicy", "GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies", "ListRoleTags",
    "PutRolePermissionsBoundary", "PutRolePolicy", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole",
    "UpdateRoleDescription",
)  # fmt: skip
_USER_OPERATIONS = (
    "AttachUserPolicy", "CreateAccessKey", "CreateUser", "DeleteAccessKey", "DeleteUser", "DeleteUserPolicy",
    "DetachUserPolicy", "GetUser", "GetUserPolicy", "ListAccessKeys", "ListAttachedUserPolicies", "ListUserPolicies",
    "PutUserPolicy", "TagUser", "UntagUser",
)  # fmt: skip
_POLICY_OPERATIONS = (
    "CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "GetPolicy", "GetPolicyVersion",
    "ListEntitiesForPolicy", "ListPolicyVersions", "SetDefaultPolicyVersion", "TagPolicy", "UntagPolicy",
)  # fmt: skip
_PROVIDER_OPERATIONS = (
    "AddClientIDToOpenIDConnectProvider", "CreateOpenIDConnectProvider", "DeleteOpenIDConnectProvider",
    "GetOpenIDConnectProvider", "RemoveClientIDFromOpenIDConnectProvider", "TagOpenIDConnectProvider",
    "UntagOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint",
)  # fmt: skip
_EVERYTHING = (
    "GetAccountSummary", "ListAccountAliases", "ListOpenIDConnectProviders", "ListPolicies", "ListRoles", "ListUsers",
    "SimulateCustomPolicy",
)  # fmt: skip


def role_arn(account: str, name: str, path: str = "/") -> str:
    """The ARN of a role: with its path if the role exists, else with `path`."""
    return f"arn:aws:iam::{account}:role{_path_of('roles', account, name) or path or '/'}{name}"


def _path_of(kind: str, account: str, name: str) -> str:
    from moto.iam.models import iam_backends

    found = getattr(iam_backends[account]["aws"], kind).values()
    return next((str(entity.path) for entity in list(found) if entity.name == name), "")


def boundary_of(account: str, name: str) -> str:
    """The ARN of the permissions boundary of a role; '' without one."""
    from moto.iam.models import iam_backends

    found = (role for role in list(iam_backends[account]["aws"].roles.values()) if role.name == name)
    role: Any = next(found, None)
    return str(role.permissions_boundary_arn or "") if role is not None else ""


def _on_role(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        name, context = call.text("RoleName"), tags(call)
        if policy := call.text("PolicyArn"):
            context["iam:PolicyARN"] = policy
        # A change of a role shows the boundary that the role has, or the one that it gets.
        if boundary := call.text("PermissionsBoundary") or boundary_of(call.account, name):
            context["iam:PermissionsBoundary"] = boundary
        resource = role_arn(call.account, name, call.text("Path"))
        yield Requirement(f"iam:{operation}", resource, context)
        if operation == "CreateRole" and call.parameters.get("Tags"):
            yield Requirement("iam:TagRole", resource, tags(call))

    return rule


def _on_user(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        name = call.text("UserName")
        path = _path_of("users", call.account, name) or call.text("Path") or "/"
        context = tags(call)
        if policy := call.text("PolicyArn"):
            context["iam:PolicyARN"] = policy
        yield Requirement(f"iam:{operation}", f"arn:aws:iam::{call.account}:user{path}{name}", context)

    return rule


def _on_policy(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        new = f"arn:aws:iam::{call.account}:policy{call.text('Path') or '/'}{call.text('PolicyName')}"
        yield Requirement(f"iam:{operation}", call.text("PolicyArn") or new, tags(call))

    return rule


def _on_provider(operation: str) -> Rule:
    def rule(call: Call) -> Iterable[Requirement]:
        host = call.text("Url").removeprefix("https://").rstrip("/")
        new = f"arn:aws:iam::{call.account}:oidc-provider/{host}"
        yield Requirement(f"iam:{operation}", call.text("OpenIDConnectProviderArn") or new, tags(call))

    return rule


def _simulate(call: Call) -> Iterable[Requirement]:
    return [Requirement("iam:SimulatePrincipalPolicy", call.text("PolicySourceArn"))]


RULES: Mapping[str, Rule] = {
    **{operation: _on_role(operation) for operation in _ROLE_OPERATIONS},
    **{operation: _on_user(operation) for operation in _USER_OPERATIONS},
    **{operation: _on_policy(operation) for operation in _POLICY_OPERATIONS},
    **{operation: _on_provider(operation) for operation in _PROVIDER_OPERATIONS},
    **{operation: on_everything(f"iam:{operation}") for operation in _EVERYTHING},
    "SimulatePrincipalPolicy": _simulate,
}


def _assume_role(call: Call) -> Iterable[Requirement]:
    context = {"sts:RoleSessionName": call.text("RoleSessionName")}
    if external := call.text("ExternalId"):
        context["sts:ExternalId"] = external
    yield Requirement("sts:AssumeRole", call.text("RoleArn"), context)


STS_RULES: Mapping[str, Rule] = {
    "AssumeRole": _assume_role,
    # No permission is needed for these (STS API Reference); a web identity is judged by the role's trust policy.
    "AssumeRoleWithWebIdentity": lambda _: (),
    "GetAccessKeyInfo": lambda _: (),
    "GetCallerIdentity": lambda _: (),
    "GetSessionToken": lambda _: (),
}
