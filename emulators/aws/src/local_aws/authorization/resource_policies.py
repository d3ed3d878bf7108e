"""The resource-based policies of resources, as deployed: of buckets, functions, queues, topics, keys and event buses.

A policy is named `policy of ARN`, by the resource that has it: the bucket, for an object. Role trust policies are the
resource-based policies of sts:AssumeRole; `principals` has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from local_aws.authorization.principals import named
from local_aws.iam.evaluation import NamedPolicy


def find(account: str, arn: str) -> NamedPolicy | None:
    """The resource-based policy of the resource with this ARN; None if it has none."""
    segments = arn.split(":", 5)
    if len(segments) != 6:
        return None
    reader = _READERS.get(segments[2])
    document = reader(account, segments[3], segments[5]) if reader is not None else None
    return named(policy_name(arn), document) if document else None


def policy_name(arn: str) -> str:
    """The name of the policy that decides about the resource with this ARN."""
    segments = arn.split(":", 5)
    if segments[2:3] == ["s3"]:
        segments[5] = segments[5].partition("/")[0]
    elif segments[2:3] == ["lambda"]:
        segments[5] = ":".join(segments[5].split(":")[:2])  # without a qualifier
    return f"policy of {':'.join(segments)}"


def deployed(account: str, region: str) -> Iterator[NamedPolicy]:
    """The policies of all resources that have one."""
    from moto.awslambda.models import lambda_backends
    from moto.events.models import events_backends
    from moto.kms.models import kms_backends
    from moto.s3.models import s3_backends
    from moto.sns.models import sns_backends
    from moto.sqs.models import sqs_backends

    names = {
        "events": [f"event-bus/{name}" for name in events_backends[account][region].event_buses],
        "kms": [f"key/{name}" for name in kms_backends[account][region].keys],
        "lambda": [f"function:{each.function_name}" for each in lambda_backends[account][region].list_functions()],
        "sns": [arn.rpartition(":")[2] for arn in sns_backends[account][region].topics],
        "sqs": list(sqs_backends[account][region].queues),
    }
    arns = [f"arn:aws:{service}:{region}:{account}:{name}" for service, found in names.items() for name in found]
    arns += [f"arn:aws:s3:::{name}" for name in s3_backends[account]["aws"].buckets]
    yield from filter(None, (find(account, arn) for arn in arns))


def _bucket(account: str, _: str, resource: str) -> Any:
    from moto.s3.models import s3_backends

    bucket = s3_backends[account]["aws"].buckets.get(resource.partition("/")[0])
    return getattr(bucket, "policy", None)


def _function(account: str, region: str, resource: str) -> Any:
    from moto.awslambda.models import lambda_backends

    name = resource.removeprefix("function:").partition(":")[0]
    functions = lambda_backends[account][region].list_functions()
    function = next((each for each in list(functions) if each.function_name == name), None)
    statements = getattr(getattr(function, "policy", None), "statements", None)
    if not statements:
        return None
    return {"Version": "2012-10-17", "Statement": [_lambda_statement(each, function) for each in statements]}


def _lambda_statement(statement: Mapping[str, Any], function: Any) -> dict[str, Any]:
    """moto's record of a permission as the statement that AWS makes of it."""
    action = statement["Action"]
    return {
        "Sid": str(statement.get("Sid") or statement.get("StatementId")),
        "Effect": "Allow",
        "Principal": statement["Principal"],
        "Action": action,
        "Resource": statement.get("Resource") or function.function_arn,
        **({"Condition": statement["Condition"]} if statement.get("Condition") else {}),
    }


def _queue(account: str, region: str, resource: str) -> Any:
    from moto.sqs.models import sqs_backends

    return getattr(sqs_backends[account][region].queues.get(resource), "policy", None)


def _topic(account: str, region: str, resource: str) -> Any:
    from moto.sns.models import sns_backends

    topic = sns_backends[account][region].topics.get(f"arn:aws:sns:{region}:{account}:{resource}")
    return getattr(topic, "policy", None)


def _key(account: str, region: str, resource: str) -> Any:
    """The key's policy, with a statement for each of its grants.

    An alias has no policy, nor has a key that CloudFormation is about to create. For these the account's policies
    decide: KMS Developer Guide, "Controlling access to aliases" and "Default key policy".
    """
    from moto.kms.models import kms_backends

    key = kms_backends[account][region].keys.get(resource.removeprefix("key/"))
    if key is None:
        return _decided_by_the_account(account)
    grants = list(key.grants.values())
    if not grants:
        return key.policy
    document = json.loads(key.policy)
    own = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    return {**document, "Statement": [*own, *(part for grant in grants for part in _grant_statements(grant))]}


_WITHOUT_CONTEXT = frozenset({"DescribeKey", "RetireGrant"})
"""Operations of grants to which no constraint applies: KMS API Reference, GrantConstraints."""


def _grant_statements(grant: Any) -> Iterator[dict[str, Any]]:
    """A grant as statements of the key's policy: its operations for its grantee, under its constraint.

    Grants allow beside key policies and IAM policies, and an explicit deny wins: KMS Developer Guide, "Grants in AWS
    KMS".
    """
    constraints: Mapping[str, Mapping[str, str]] = grant.constraints or {}
    kind, encryption = next(iter(constraints.items()), ("", {}))
    conditions: dict[str, Any] = {}
    if encryption:
        conditions["StringEquals"] = {f"kms:EncryptionContext:{name}": value for name, value in encryption.items()}
    if kind == "EncryptionContextEquals":
        conditions["ForAllValues:StringEquals"] = {"kms:EncryptionContextKeys": list(encryption)}
    parts = [("", set(grant.operations), conditions)]
    if conditions:
        constrained = set(grant.operations) - _WITHOUT_CONTEXT
        free = set(grant.operations) & _WITHOUT_CONTEXT
        parts = [("", constrained, conditions), ("WithoutConstraint", free, {})]
    for suffix, operations, condition in parts:
        if operations:
            yield {
                "Sid": f"Grant{grant.id}{suffix}",
                "Effect": "Allow",
                "Principal": _grantee(str(grant.grantee_principal)),
                "Action": sorted(f"kms:{operation}" for operation in operations),
                "Resource": "*",
                **({"Condition": condition} if condition else {}),
            }


def _grantee(principal: str) -> dict[str, str]:
    return {"AWS" if principal.startswith("arn:") else "Service": principal}


def _decided_by_the_account(account: str) -> dict[str, Any]:
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _event_bus(account: str, region: str, resource: str) -> Any:
    from moto.events.models import events_backends

    kind, _, name = resource.partition("/")
    bus = events_backends[account][region].event_buses.get(name) if kind == "event-bus" else None
    return getattr(bus, "policy", None)


_READERS: Mapping[str, Callable[[str, str, str], Any]] = {
    "events": _event_bus,
    "kms": _key,
    "lambda": _function,
    "s3": _bucket,
    "sns": _topic,
    "sqs": _queue,
}
