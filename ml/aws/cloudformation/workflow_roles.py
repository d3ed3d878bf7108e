"""Creates and updates the stack of the OIDC provider and of one IAM role for each workflow.

It knows the stack's parameters and outputs; what each role may do is in the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ml.aws import platform_stack, session
from ml.aws.cloudformation import deployed_stack, stack
from ml.errors import CloudError

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
ROLES = {
    "TrainRoleArn": "FRAUDOPS_ROLE_TRAIN",
    "DeployRoleArn": "FRAUDOPS_ROLE_DEPLOY",
    "DriftRoleArn": "FRAUDOPS_ROLE_DRIFT",
    "PlanRoleArn": "FRAUDOPS_ROLE_PLAN",
    "InfraRoleArn": "FRAUDOPS_ROLE_INFRA",
}
"""The repository variable that receives each output of the stack."""
ENVIRONMENTS_VARIABLE = "FRAUDOPS_ENVIRONMENTS"
"""The repository variable that lets the workflows use the environments; `false` if the roles trust none."""
BOUNDARY = "BoundaryArn"
"""The output with the permissions boundary of the platform's roles; the platform's parameter has the same name."""

_USES_ENVIRONMENTS = "UseEnvironments"


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """The trusted repository, as the subject of its OIDC tokens names it: OWNER/NAME, or OWNER@ID/NAME@ID.

    With `environments`, a role trusts the environment of one workflow. Without them it trusts main, so every job on
    main may assume every role: for repositories whose plan has no environments.
    """

    repository: str
    environments: bool = True


def stack_name(platform: str | None = None) -> str:
    """The name of the roles' stack, derived from the name of the platform's; None stands for this environment's."""
    return f"{platform or platform_stack.stack_name()}-github"


def apply(template: str, parameters: Mapping[str, str], trusted: Trusted | None) -> stack.Applied:
    """Creates or updates the stack; without `trusted`, the trusted repository stays the same.

    Raises:
        CloudError: a resource could not be created, or the account's identity provider is not for AWS.
    """
    name = stack_name()
    given = dict(parameters)
    if trusted is not None:
        given |= {"Repository": trusted.repository, _USES_ENVIRONMENTS: str(trusted.environments).lower()}
    # An account has at most one provider for an issuer. A provider that this stack created remains part of it.
    # What is left of a creation that failed is deleted before the next one: its own provider, but not another's.
    before = platform_stack.describe_stack(name)
    if before is None or before["StackStatus"] in ("ROLLBACK_COMPLETE", stack.UNUSED):
        given["ProviderArn"] = provider() or ""
    elif not stack.was_created(before):
        given["ProviderArn"] = deployed_stack.parameters(before).get("ProviderArn", "")
    return stack.apply(name, template, given)


def variables(outputs: Mapping[str, str]) -> dict[str, str]:
    """The repository variables that the stack defines: one for each role, and whether they trust environments.

    Raises:
        CloudError: the stack lacks an output.
    """
    return {**roles(outputs), ENVIRONMENTS_VARIABLE: outputs[_USES_ENVIRONMENTS]}


def roles(outputs: Mapping[str, str]) -> dict[str, str]:
    """The roles by the repository variable that names each.

    Raises:
        CloudError: the stack lacks an output.
    """
    missing = sorted({*ROLES, _USES_ENVIRONMENTS, BOUNDARY} - set(outputs))
    if missing:
        raise CloudError(
            f"stack {stack_name()} lacks the outputs {', '.join(missing)}; update it with its own template"
        )
    return {variable: outputs[output] for output, variable in ROLES.items()}


def provider() -> str | None:
    """The account's identity provider for GitHub; None if there is none."""
    iam = session.client("iam")
    with session.explained("looking for an identity provider for GitHub"):
        for item in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]:
            arn = str(item["Arn"])
            if not arn.endswith(f":oidc-provider/{ISSUER}"):
                continue
            audiences = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn).get("ClientIDList", [])
            if AUDIENCE not in audiences:
                raise CloudError(
                    f"{arn} accepts tokens only for {', '.join(audiences) or 'no audience'}; add the audience: "
                    f"aws iam add-client-id-to-open-id-connect-provider --client-id {AUDIENCE} "
                    f"--open-id-connect-provider-arn {arn}"
                )
            return arn
    return None
