"""The API calls by which CloudFormation changes resources of IAM, as in resource_calls. Makes no call."""

from __future__ import annotations

from collections.abc import Iterable

from local_aws.cloudformation.resource_change import ApiCall, Change


def role(change: Change) -> Iterable[ApiCall]:
    """The calls for an AWS::IAM::Role."""
    role = {"RoleName": change.name}
    before, after = change.before or {}, change.after or {}
    boundary = {"PermissionsBoundary": after["PermissionsBoundary"]} if after.get("PermissionsBoundary") else {}
    if change.creates:
        path, tags = {"Path": after.get("Path", "/")}, {"Tags": after["Tags"]} if after.get("Tags") else {}
        yield "iam:CreateRole", {**role, **path, **boundary, **tags}
    yield "iam:GetRole", role
    if not change.creates and not change.deletes:
        if change.sets("Description", "MaxSessionDuration"):
            yield "iam:UpdateRole", role
        if change.sets("AssumeRolePolicyDocument"):
            yield "iam:UpdateAssumeRolePolicy", role
        if change.sets("PermissionsBoundary"):
            operation = "PutRolePermissionsBoundary" if boundary else "DeleteRolePermissionsBoundary"
            yield f"iam:{operation}", {**role, **boundary}
        if change.sets("Tags"):
            yield "iam:TagRole", role
            yield "iam:UntagRole", role
    inline = {policy["PolicyName"]: policy for policy in after.get("Policies") or []}
    had = {policy["PolicyName"]: policy for policy in before.get("Policies") or []}
    for name, policy in inline.items():
        if policy != had.get(name):
            yield "iam:PutRolePolicy", {**role, "PolicyName": name, **boundary}
    for name in had.keys() - inline.keys():
        yield "iam:DeleteRolePolicy", {**role, "PolicyName": name}
    managed, former = set(after.get("ManagedPolicyArns") or []), set(before.get("ManagedPolicyArns") or [])
    for arn in sorted(managed - former):
        yield "iam:AttachRolePolicy", {**role, "PolicyArn": arn, **boundary}
    for arn in sorted(former - managed):
        yield "iam:DetachRolePolicy", {**role, "PolicyArn": arn}
    if change.deletes:
        yield "iam:DeleteRole", role


def inline_policy(change: Change) -> Iterable[ApiCall]:
    """The calls for an AWS::IAM::Policy."""
    for role in change.properties.get("Roles") or []:
        parameters = {"RoleName": role, "PolicyName": change.properties["PolicyName"]}
        yield "iam:GetRolePolicy", parameters
        yield ("iam:DeleteRolePolicy" if change.deletes else "iam:PutRolePolicy"), parameters


def managed_policy(change: Change) -> Iterable[ApiCall]:
    """The calls for an AWS::IAM::ManagedPolicy."""
    key = "PolicyArn" if change.name.startswith("arn:") else "PolicyName"
    policy = {key: change.name}
    if change.creates:
        yield "iam:CreatePolicy", {**policy, "Path": change.properties.get("Path", "/")}
    elif change.deletes:
        yield "iam:ListPolicyVersions", policy
        yield "iam:DeletePolicy", policy
    else:
        yield "iam:ListPolicyVersions", policy
        if change.sets("PolicyDocument"):
            yield "iam:CreatePolicyVersion", policy
            yield "iam:DeletePolicyVersion", policy
    yield "iam:GetPolicy", policy
    arn = policy.get("PolicyArn", change.name)
    for role in change.properties.get("Roles") or []:
        yield (
            ("iam:DetachRolePolicy" if change.deletes else "iam:AttachRolePolicy"),
            {"RoleName": role, "PolicyArn": arn},
        )


def identity_provider(change: Change) -> Iterable[ApiCall]:
    """The calls for an AWS::IAM::OIDCProvider."""
    provider = {"Url": change.properties["Url"]}
    if change.creates:
        yield "iam:CreateOpenIDConnectProvider", provider
    elif change.deletes:
        yield "iam:DeleteOpenIDConnectProvider", provider
    else:
        if change.sets("ClientIdList"):
            yield "iam:AddClientIDToOpenIDConnectProvider", provider
            yield "iam:RemoveClientIDFromOpenIDConnectProvider", provider
        if change.sets("ThumbprintList"):
            yield "iam:UpdateOpenIDConnectProviderThumbprint", provider
    if not change.deletes:
        yield "iam:GetOpenIDConnectProvider", provider
