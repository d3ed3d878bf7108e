"""Reads which OIDC subjects a role of the workflows trusts. Changes no trust policy."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from typing import Any

from ml.aws import session
from ml.aws.cloudformation.workflow_roles import ISSUER


def subjects(role_arn: str) -> list[str]:
    """The patterns of `sub` that the role's trust policy accepts. CloudError if the role cannot be read."""
    name = role_arn.rpartition("/")[2]
    with session.explained(f"reading the trust policy of {role_arn}"):
        document = session.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    return sorted(set(_subjects(document)))


def accepts(pattern: str, prefix: str) -> bool:
    """Whether a pattern accepts subjects that begin with `prefix`, e.g. `repo:OWNER/NAME`."""
    # A subject is repo:REPOSITORY:CONTEXT, and neither part has a colon.
    scheme, _, rest = pattern.partition(":")
    return fnmatch.fnmatchcase(prefix, f"{scheme}:{rest.partition(':')[0]}")


def _subjects(document: dict[str, Any]) -> Iterator[str]:
    for statement in document["Statement"]:
        for tests in statement.get("Condition", {}).values():
            accepted = tests.get(f"{ISSUER}:sub", [])
            yield from [accepted] if isinstance(accepted, str) else accepted
