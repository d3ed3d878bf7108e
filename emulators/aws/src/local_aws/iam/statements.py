"""Whether a statement applies to a request: its action, resource, principal and conditions. Decides nothing else.

Source: IAM User Guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

from local_aws.iam.policy_documents import ResourcePattern, Statement
from local_aws.iam.policy_variables import RequestContext, arn_pattern
from local_aws.iam.principals import Caller, Match


def applies(
    statement: Statement, action: str, resource: str, who: Caller, context: RequestContext, *, bounded: bool
) -> Match:
    """How closely a statement names the caller of a request that it applies to, NONE if it does not apply.

    A statement without Principal applies to the identity that it is attached to: DIRECT.

    Args:
        bounded: the caller has a permissions boundary, with which a Deny with NotPrincipal always applies: "Permissions
            boundaries for IAM entities".
    """
    if (statement.actions.fullmatch(action) is not None) is statement.not_action:
        return Match.NONE
    if statement.resources is not None:
        named = any(_resource_matches(each, resource, context) for each in statement.resources)
        if named is statement.not_resource:
            return Match.NONE
    match = Match.DIRECT
    if statement.principal is not None:
        match = statement.principal.match(who)
        if statement.not_principal:
            denied_by_boundary = bounded and not statement.allow
            match = Match.DIRECT if match is Match.NONE or denied_by_boundary else Match.NONE
        if match is Match.NONE:
            return match
    return match if all(each.holds(context) for each in statement.conditions) else Match.NONE


def _resource_matches(wanted: ResourcePattern, resource: str, context: RequestContext) -> bool:
    if wanted.everything:
        return True
    compiled = wanted.compiled
    if compiled is None:
        tail = wanted.tail.resolve(context)
        if tail is None:
            return False  # "will not match any resource": "Policy variables with no value"
        compiled = arn_pattern(wanted.head + tail)
    return compiled is not None and compiled.fullmatch(resource) is not None
