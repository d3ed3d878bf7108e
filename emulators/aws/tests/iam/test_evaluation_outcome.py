"""AWS's messages for denied requests."""

from __future__ import annotations

from typing import Any

import pytest
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate
from local_aws.iam.evaluation_outcome import Decision, PolicyType, Reason, StatementMatch

JOHN = "arn:aws:iam::123456789012:user/John"
IMPLICIT, EXPLICIT = Reason.IMPLICIT_DENY, Reason.EXPLICIT_DENY
LIST, DEPLOYMENTS = "codecommit:ListRepositories", "codedeploy:ListDeployments"
SECRET = "secretsmanager:GetSecretValue"
GROUPS = "arn:aws:codedeploy:us-east-1:123456789012:deploymentgroup:*"
SECRETS = "arn:aws:secretsmanager:us-east-1:123456789012:secret:*"


def denied(reason: Reason, policy_type: PolicyType, action: str, resource: str, arn: str | None = None) -> Decision:
    """A denied request of John's."""
    statements = (StatementMatch(policy_type, "p", arn, 0, None, False),) if reason is Reason.EXPLICIT_DENY else ()
    return Decision(JOHN, action, resource, True, reason, policy_type, statements)


# The examples of the page "Troubleshoot access denied error messages"; some of them name no resource.
@pytest.mark.parametrize(
    ("reason", "policy_type", "action", "resource", "context"),
    [
        (IMPLICIT, PolicyType.SERVICE_CONTROL, LIST, "", "because no service control policy allows the"),
        (EXPLICIT, PolicyType.SERVICE_CONTROL, LIST, "", "with an explicit deny in a service control policy"),
        (IMPLICIT, PolicyType.BOUNDARY, DEPLOYMENTS, GROUPS, "because no permissions boundary allows the"),
        (EXPLICIT, PolicyType.BOUNDARY, "sagemaker:ListModels", "", "with an explicit deny in a permissions boundary"),
        (IMPLICIT, PolicyType.SESSION, LIST, "", "because no session policy allows the"),
        (EXPLICIT, PolicyType.SESSION, DEPLOYMENTS, GROUPS, "with an explicit deny in a sessions policy"),
        (IMPLICIT, PolicyType.RESOURCE, SECRET, "", "because no resource-based policy allows the"),
        (EXPLICIT, PolicyType.RESOURCE, SECRET, SECRETS, "with an explicit deny in a resource-based policy"),
        (IMPLICIT, PolicyType.TRUST, "sts:AssumeRole", "", "because no role trust policy allows the"),
        (EXPLICIT, PolicyType.TRUST, "sts:AssumeRole", "", "with an explicit deny in the role trust policy"),
        (IMPLICIT, PolicyType.IDENTITY, LIST, "", "because no identity-based policy allows the"),
        (EXPLICIT, PolicyType.IDENTITY, DEPLOYMENTS, GROUPS, "with an explicit deny in an identity-based policy"),
    ],
)
def test_message_is_as_aws_documents_it(
    reason: Reason, policy_type: PolicyType, action: str, resource: str, context: str
) -> None:
    """One form for each policy type and kind of deny; that of an implicit deny ends with the action."""
    message = denied(reason, policy_type, action, resource).message(name_resource=bool(resource))
    named = f" on resource: {resource}" if resource else ""
    ends = f" {action} action" if reason is IMPLICIT else ""
    assert message == f"User: {JOHN} is not authorized to perform: {action}{named} {context}{ends}"


def test_message_quotes_resources_of_s3() -> None:
    """S3 puts the ARN in quotation marks: "Troubleshoot access denied (403 Forbidden) errors in Amazon S3"."""
    resource = "arn:aws:s3:::amzn-s3-demo-bucket1/object-name"
    assert evaluate(AccessRequest(JOHN, "s3:GetObject", resource), Policies()).message() == (
        f'User: {JOHN} is not authorized to perform: s3:GetObject on resource: "{resource}" '
        "because no identity-based policy allows the s3:GetObject action"
    )


@pytest.mark.parametrize(
    ("principal", "suffix"),
    [(JOHN, ": arn:aws:iam::123456789012:policy/ExampleDenyPolicy"), ("arn:aws:iam::444455556666:user/bo", "")],
)
def test_message_names_the_denying_managed_policy(principal: str, suffix: str) -> None:
    """The ARN of a denying managed policy is named within the account, not across accounts.

    Source: AWS Security Blog, "Enhanced access denied error messages with policy ARNs".
    """
    resource = "arn:aws:iam::123456789012:instance-profile/my-instance-profile"
    deny: dict[str, Any] = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": deny}
    policy = NamedPolicy("ExampleDenyPolicy", document, "arn:aws:iam::123456789012:policy/ExampleDenyPolicy")
    decision = evaluate(AccessRequest(principal, "iam:CreateInstanceProfile", resource), Policies(identity=[policy]))
    assert decision.message() == (
        f"User: {principal} is not authorized to perform: iam:CreateInstanceProfile on resource: {resource} "
        f"with an explicit deny in an identity-based policy{suffix}"
    )


def test_message_of_a_refused_token_names_the_action_alone() -> None:
    """STS tells an unauthenticated caller neither the role nor the policy."""
    provider = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    role = "arn:aws:iam::123456789012:role/deploy"
    decision = evaluate(AccessRequest(provider, "sts:AssumeRoleWithWebIdentity", role), Policies())
    assert decision.message() == "Not authorized to perform sts:AssumeRoleWithWebIdentity"


def test_message_of_an_allowed_request_is_an_error() -> None:
    """There is nothing to say."""
    decision = evaluate(AccessRequest(JOHN, "sts:GetCallerIdentity", "*"), Policies())
    with pytest.raises(ValueError, match="sts:GetCallerIdentity was allowed"):
        decision.message()
