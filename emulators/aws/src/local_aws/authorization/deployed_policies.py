"""The policies of an emulator as deployed when it stops, in a file for the report of used permissions.

A role's own policies are its inline and managed ones. A shared policy belongs to no single role: the policy of a
resource, the trust policy of a role, a permissions boundary. The reasons that the stacks' templates give for unused
statements are kept with them. Evaluates nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from local_aws.authorization import justifications, resource_policies
from local_aws.authorization.justifications import Reasons, StatementPlace
from local_aws.authorization.principals import Principals
from local_aws.iam.evaluation import NamedPolicy

POLICIES = "logs/policies.json"
ReasonsOfPolicies = Mapping[tuple[str, str], Mapping[str, Reasons]]
"""By (role's name, or empty for a managed or shared policy; policy): the reasons for each Sid."""


def save(principals: Principals, folder: Path, *, account: str, region: str, stacks: Iterable[Any] = ()) -> None:
    """Writes the policies into the emulator's folder; `stacks` are moto's records, whose templates have the reasons."""
    reasons = _reasons(stacks, account=account, region=region)
    own, shared = dict[str, list[dict[str, Any]]](), dict[str, dict[str, Any]]()
    for role in principals.roles():
        policies = principals.role_policies(role)
        own[role.arn] = [
            _entry(policy, reasons.get(("", policy.arn) if policy.arn else (role.name, policy.name), {}))
            for policy in policies.identity
        ]
        others = [("trust", principals.trust_policy(role))]
        others += [("boundary", policies.boundary)] if policies.boundary else []
        for kind, policy in others:
            name = policy.arn or policy.name
            shared[name] = {"kind": kind, **_entry(policy, reasons.get(("", name), {}))}
    for policy in resource_policies.deployed(account, region):
        shared[policy.name] = {"kind": "resource", **_entry(policy, reasons.get(("", policy.name), {}))}
    document = {"roles": own, "shared": list(shared.values())}
    (folder / POLICIES).write_text(json.dumps(document, indent=1), "utf-8")


def _entry(policy: NamedPolicy, unused: Mapping[str, Reasons]) -> dict[str, Any]:
    document = policy.document
    parsed = json.loads(document) if isinstance(document, str) else document
    return {"policy": policy.arn or policy.name, "document": parsed, "unused": dict(unused)}


def _reasons(stacks: Iterable[Any], *, account: str, region: str) -> ReasonsOfPolicies:
    found: dict[tuple[str, str], dict[str, Reasons]] = {}
    for stack in stacks:
        made = stack.resource_map._parsed_resources  # the public mapping creates what it lacks
        for place, reasons in justifications.of_template(stack.template).items():
            if place.resource in made and place.resource in stack.resource_map.applied:
                properties = stack.resource_map.applied[place.resource]["Properties"]
                for key in _policies_at(place, made[place.resource], properties, f"{region}:{account}"):
                    found.setdefault(key, {})[place.sid] = reasons
    return found


def _policies_at(
    place: StatementPlace, resource: Any, properties: Mapping[str, Any], where: str
) -> Iterator[tuple[str, str]]:
    """The deployed policies of the resource that the statement stands in, as keys of `ReasonsOfPolicies`."""
    physical = str(resource.physical_resource_id)
    if place.type == "AWS::IAM::Role":
        yield (physical, place.policy) if place.policy else ("", f"trust policy of {physical}")
    elif place.type == "AWS::IAM::Policy":
        yield from ((role, place.policy) for role in properties.get("Roles") or [])
    elif place.type == "AWS::IAM::ManagedPolicy":
        yield "", physical
    else:
        yield from (
            ("", resource_policies.policy_name(arn)) for arn in _resources(place.type, physical, properties, where)
        )


def _resources(kind: str, physical: str, properties: Mapping[str, Any], where: str) -> list[str]:
    """The ARNs of the resources that a policy resource, or a resource with a policy of its own, decides about."""
    if kind == "AWS::S3::BucketPolicy":
        return [f"arn:aws:s3:::{properties['Bucket']}"]
    if kind == "AWS::SQS::QueuePolicy":
        return [f"arn:aws:sqs:{where}:{url.rpartition('/')[2]}" for url in properties["Queues"]]
    if kind == "AWS::SNS::TopicPolicy":
        return list(properties["Topics"])
    return [f"arn:aws:kms:{where}:key/{physical}"] if kind == "AWS::KMS::Key" else []
