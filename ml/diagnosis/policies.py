"""Compares the policies of roles, managed policies, buckets and keys with the templates, one by one.

The simulation of `permissions` shows what a role may no longer do; this shows what it may do beside its template.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ml.aws import policy_documents
from ml.aws.cloudformation import platform_source
from ml.aws.session import Absent
from ml.diagnosis import deployed_template, template_values
from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.role_statements import ROLE
from ml.diagnosis.stacks import NO_ROLE
from ml.diagnosis.subjects import Subjects
from ml.diagnosis.template_values import Template
from ml.errors import ConfigError

_MANAGED, _INLINE, _BUCKET = "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::S3::BucketPolicy"
_KEY = "AWS::KMS::Key"


def checks(subjects: Subjects) -> Iterator[Check]:
    """One check for each role, managed policy, bucket policy and key of the two templates."""
    for name, path in zip(subjects.stacks, (platform_source.TEMPLATE, subjects.roles_template), strict=True):
        resources = template_values.read((subjects.root / path).read_text("utf-8"))["Resources"]
        for key, item in resources.items():
            if item["Type"] in _CHECKS:
                check = partial(_resource, subjects, name, key, partial(deployed_template.read, subjects, name, path))
                yield run(f"policy {name} {key}", check)


def _resource(subjects: Subjects, name: str, key: str, read: Any) -> str:
    if name == subjects.stacks[1] and not subjects.has_roles:
        return NO_ROLE
    template: Template = read()
    if not template.is_made(key):
        return "not in this stack: its condition does not hold"
    if key not in subjects.resources(name):
        raise CannotTell(f"stack {name} has no {key}; see the line of its template")
    try:
        return _CHECKS[template.resources[key]["Type"]](template, key, subjects.resources(name)[key][1])
    except Absent as error:
        raise WillFail(f"{subjects.resources(name)[key][1]} was deleted: {error}", remedy="template") from error
    except ConfigError as error:
        raise CannotTell(str(error)) from error


def _role(template: Template, key: str, physical: str) -> str:
    properties = template.resources[key].get("Properties", {})
    wanted = {item["PolicyName"]: item["PolicyDocument"] for item in template.value(properties.get("Policies", []))}
    for other, item in template.resources.items():
        if item["Type"] == _INLINE and {"Ref": key} in item["Properties"].get("Roles", []) and template.is_made(other):
            own = template.value(item["Properties"])
            wanted[own["PolicyName"]] = own["PolicyDocument"]
    found = policy_documents.of_role(physical)
    wrong = [f"no inline policy {name}" for name in sorted(wanted.keys() - found.inline.keys())]
    wrong += [
        f"an inline policy {name} that the template lacks" for name in sorted(found.inline.keys() - wanted.keys())
    ]
    wrong += [
        f"another inline policy {name}: {_statements(wanted[name], found.inline[name])}"
        for name in sorted(wanted.keys() & found.inline.keys())
        if not policy_documents.equal(wanted[name], found.inline[name])
    ]
    resolved = template.value({name: properties[name] for name in _REFERENCES if name in properties})
    attached = frozenset(resolved.get("ManagedPolicyArns", [])) | {
        str(template.value({"Ref": other}))
        for other, item in template.resources.items()
        if item["Type"] == _MANAGED and {"Ref": key} in item["Properties"].get("Roles", []) and template.is_made(other)
    }
    wrong += [f"no policy {arn}" for arn in sorted(attached - found.attached)]
    wrong += [f"a policy {arn} that the template lacks" for arn in sorted(found.attached - attached)]
    boundary = resolved.get("PermissionsBoundary")
    if boundary != found.boundary:
        wrong.append(f"the boundary {found.boundary or 'none'}, and the template {boundary or 'none'}")
    trust = template.value(properties["AssumeRolePolicyDocument"])
    if not policy_documents.equal(trust, found.trust):
        wrong.append(f"another trust policy: {_statements(trust, found.trust)}")
    if wrong:
        raise WillFail(f"role {physical} has {'; '.join(wrong)}", remedy="template")
    return f"role {physical} has the template's {len(wanted)} inline and {len(attached)} managed policies and its trust"


def _managed(template: Template, key: str, physical: str) -> str:
    return _same(template, key, physical, policy_documents.managed(physical))


def _bucket(template: Template, key: str, physical: str) -> str:
    del physical  # of the policy; the bucket is what it names
    bucket = template.value(template.resources[key]["Properties"]["Bucket"])
    return _same(template, key, f"of bucket {bucket}", policy_documents.of_bucket(bucket))


def _key(template: Template, key: str, physical: str) -> str:
    return _same(template, key, f"of key {physical}", policy_documents.of_key(physical), document="KeyPolicy")


def _same(template: Template, key: str, what: str, found: Any, *, document: str = "PolicyDocument") -> str:
    wanted = template.value(template.resources[key]["Properties"][document])
    if found is None:
        raise WillFail(f"policy {what} is gone", remedy="template")
    if not policy_documents.equal(wanted, found):
        raise WillFail(f"policy {what} is not the template's: {_statements(wanted, found)}", remedy="template")
    return f"policy {what} is the template's"


def _statements(wanted: Any, found: Any) -> str:
    """Which statements are missing, added or changed, by their Sids."""
    ours, theirs = (_by_sid(document) for document in (wanted, found))
    changed = [sid for sid in ours.keys() & theirs.keys() if not policy_documents.equal(ours[sid], theirs[sid])]
    parts = [
        f"statement {sid} {word}"
        for word, sids in (
            ("is missing", ours.keys() - theirs.keys()),
            ("was added", theirs.keys() - ours.keys()),
            ("was changed", changed),
        )
        for sid in sorted(sids)
    ]
    return ", ".join(parts) or "its version or its id was changed"


def _by_sid(document: Any) -> dict[str, Any]:
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    return {str(item.get("Sid", f"number {place}")): item for place, item in enumerate(listed, 1)}


_REFERENCES = ("ManagedPolicyArns", "PermissionsBoundary")
_CHECKS = {ROLE: _role, _MANAGED: _managed, _BUCKET: _bucket, _KEY: _key}
