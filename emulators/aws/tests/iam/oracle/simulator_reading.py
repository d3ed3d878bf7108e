"""Where `@cloud-copilot/iam-simulate` 0.1.173 reads policies otherwise than AWS documents, as rewrites of a pair.

A rewritten pair means to AWS what the original means to the simulator, so both evaluators have to agree on it. Each
rewrite names the document that decides against the simulator. test_oracle.py fails for a rewrite that is not needed.
"""

from __future__ import annotations

import copy
import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from iam.oracle.pairs import Document, Named, Pair
from local_aws.iam.policy_documents import DocumentKind, parse
from local_aws.iam.policy_variables import RequestContext, arn_pattern, marked, template
from local_aws.iam.principals import Match
from local_aws.iam.statements import applies

NEVER = {"Null": {"aws:PrincipalTag/never": "never"}}
"""A condition that holds for no request: Null compares with true and false only."""

NO_RESOURCE = "arn:aws:s3:::no-bucket-of-any-pair"


@dataclass(frozen=True)
class Reading:
    """One difference: the rewrite, and the AWS document that the simulator contradicts."""

    name: str
    source: str
    rewrite: Callable[[Pair], Pair]


def _each_statement(change: Callable[[Document, Pair], None]) -> Callable[[Pair], Pair]:
    """A rewrite that changes each statement in place."""

    def rewrite(pair: Pair) -> Pair:
        changed = copy.deepcopy(pair)
        for document in changed.documents():
            for statement in document["Statement"]:
                change(statement, changed)
        return changed

    return rewrite


def _conditions(statement: Document) -> Iterator[tuple[str, str, list[str]]]:
    """Operator, key and values of each condition."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key, values if isinstance(values, list) else [values]


def _value(pair: Pair, key: str) -> str | list[str] | None:
    return next((value for name, value in pair.context.items() if name.lower() == key.lower()), None)


def _versions(pair: Pair) -> Pair:
    changed = copy.deepcopy(pair)
    for document in changed.documents():
        if "${" in json.dumps(document):
            document["Version"] = "2012-10-17"
    return changed


def _null_variables(statement: Document, pair: Pair) -> None:
    context = RequestContext(pair.context)
    for operator, key, values in _conditions(statement):
        present = _value(pair, key)
        unresolved = [value for value in values if template(value, True).resolve(context) is None]
        if "ArnNot" in operator and isinstance(present, str):
            # The simulator meets the variable only if the five segments before it match.
            unresolved = [value for value in unresolved if _same_head(value, present)]
        if re.search(r"StringNot|ArnNot", operator) and present is not None and unresolved:
            statement["Condition"] = NEVER
            return


def _same_head(wanted: str, arn: str) -> bool:
    compiled = arn_pattern(marked(":".join([*wanted.split(":", 5)[:5], "*"])))
    return compiled is not None and compiled.fullmatch(arn) is not None


def _escapes(statement: Document, _: Pair) -> None:
    for operator, key, values in list(_conditions(statement)):
        if re.search(r"String(Not)?Equals", operator):
            literal = [
                re.sub(r"\$\{([*?$])\}", lambda found: "${$}{" + _character(found) + "}", each) for each in values
            ]
            statement["Condition"][operator][key] = literal


def _character(found: re.Match[str]) -> str:
    return "${$}" if found.group(1) == "$" else found.group(1)


def _variable_in_account(statement: Document, _: Pair) -> None:
    for operator, key, values in list(_conditions(statement)):
        if "Arn" in operator:
            split = ["${" in ":".join(value.split(":")[:5]) for value in values]
            statement["Condition"][operator][key] = [
                NO_RESOURCE if each else value for each, value in zip(split, values, strict=True)
            ]


def _if_exists_of_any_value(statement: Document, pair: Pair) -> None:
    conditions = statement.get("Condition", {})
    for operator, key, values in list(_conditions(statement)):
        missing = _value(pair, key) is None
        if missing and operator.startswith("ForAnyValue:") and operator.endswith("IfExists"):
            del conditions[operator][key]
            conditions.setdefault(operator.removesuffix("IfExists"), {})[key] = values


def _single_address(statement: Document, pair: Pair) -> None:
    for operator, key, values in _conditions(statement):
        present = _value(pair, key)
        if "NotIpAddress" not in operator or not isinstance(present, str):
            continue
        single = [ipaddress.ip_address(value) for value in values if "/" not in value]
        if any(each.version != ipaddress.ip_address(present).version for each in single):
            statement["Condition"] = NEVER
            return


def _every_address(statement: Document, _: Pair) -> None:
    for operator, key, values in list(_conditions(statement)):
        if "IpAddress" in operator and "0.0.0.0/0" in values:
            statement["Condition"][operator][key] = ["0.0.0.0/32" if each == "0.0.0.0/0" else each for each in values]


def _epoch(statement: Document, pair: Pair) -> None:
    for operator, key, values in list(_conditions(statement)):
        present = _value(pair, key)
        if "Date" in operator and isinstance(present, str):
            statement["Condition"][operator][key] = [_as_milliseconds(value, present) for value in values]


def _as_milliseconds(value: str, present: str) -> str:
    """A date of a policy that compares with `present` as it would if both were counted in milliseconds."""
    if value.isdigit() == present.isdigit():
        return value
    if value.isdigit():
        return str(int(value) / 1000)
    moment = datetime.fromisoformat(value if "T" in value else f"{value}T00:00:00+00:00")
    return str(int(moment.timestamp() * 1000))


def _resource_type(statement: Document, _: Pair) -> None:
    for element in ("Resource", "NotResource"):
        values = statement.get(element, [])
        listed = values if isinstance(values, list) else [values]
        if listed:
            statement[element] = [NO_RESOURCE if _wild_type(each) else each for each in listed]


def _wild_type(resource: str) -> bool:
    segments = resource.split(":", 5)
    found = re.match(r"[^/:]*[/:]", segments[5]) if len(segments) == 6 else None
    return found is not None and segments[2] != "s3" and re.search(r"[*?$]", found.group()) is not None


def _not_resource(statement: Document, pair: Pair) -> None:
    values: Any = statement.get("NotResource", [])
    context = RequestContext(pair.context)
    for each in values if isinstance(values, list) else [values]:
        ends_early = each != "*" and each.count(":") < 5
        unresolved = template(each, True).resolve(context) is None and _same_head(each, pair.resource)
        if ends_early or unresolved:
            statement["Condition"] = NEVER
            return


def _session_first(pair: Pair) -> Pair:
    if pair.session is None or pair.resource_policy is None or _allows(pair, pair.session):
        return pair
    changed = copy.deepcopy(pair)
    assert changed.resource_policy is not None
    for statement in changed.resource_policy[1]["Statement"]:
        if statement["Effect"] == "Allow":
            statement["Condition"] = NEVER
    return changed


def _allows(pair: Pair, policy: Named) -> bool:
    request = pair.request()
    return any(
        statement.allow
        and applies(statement, pair.action, pair.resource, request.caller, request.keys, bounded=False) is Match.DIRECT
        for statement in parse(policy[1], DocumentKind.IDENTITY).statements
    )


VARIABLES = "IAM User Guide, IAM policy elements: Variables and tags"
OPERATORS = "IAM User Guide, IAM JSON policy elements: Condition operators"

READINGS = (
    Reading("replaces variables in policies of version 2008-10-17 and without version", VARIABLES, _versions),
    Reading(
        "takes a variable in the resource type, and in an ARN without one, as text, and a wildcard there too",
        "AWS managed policy AWSBackupServiceRolePolicyForRestores (arn:aws:cloudformation:*:*:*/*/*); IAM User Guide, "
        "Variables and tags (arn:aws:sqs:us-east-2:*:${aws:username}-queue)",
        _each_statement(_resource_type),
    ),
    Reading(
        "does not apply a NotResource that has a variable without a value, or an ARN that ends early",
        f"{VARIABLES}: such a resource matches no resource; NotResource matches every resource except those specified",
        _each_statement(_not_resource),
    ),
    Reading("splits an ARN at the colon within a variable", OPERATORS, _each_statement(_variable_in_account)),
    Reading(
        "does not let a negated operator match a variable without a value",
        f"{VARIABLES}: Policy variables with no value",
        _each_statement(_null_variables),
    ),
    Reading(
        "does not replace ${*}, ${?} and ${$} in StringEquals and its variants",
        f"{VARIABLES}: usable in any string where regular policy variables are",
        _each_statement(_escapes),
    ),
    Reading("ignores IfExists with ForAnyValue", f"{OPERATORS}: IfExists", _each_statement(_if_exists_of_any_value)),
    Reading(
        "does not let NotIpAddress with one address match an address of the other family",
        f"{OPERATORS}: all IP addresses except the specified IP address or range",
        _each_statement(_single_address),
    ),
    Reading("takes 0.0.0.0/0 for 0.0.0.0", f"{OPERATORS}: standard CIDR format", _each_statement(_every_address)),
    Reading("counts epoch time in milliseconds", f"{OPERATORS}: epoch (UNIX) time", _each_statement(_epoch)),
    Reading(
        "lets a session policy limit a grant to the session itself",
        "IAM User Guide, Determining whether a request is allowed or denied within an account: IAM role session",
        _session_first,
    ),
)


def as_the_simulator_reads(pair: Pair, without: str = "") -> Pair:
    """The pair with all rewrites but the one named `without`. Statements keep their order and number."""
    for reading in READINGS:
        if reading.name != without:
            pair = reading.rewrite(pair)
    return pair
