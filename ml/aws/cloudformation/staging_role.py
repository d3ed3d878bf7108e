"""Creates and updates the stack of the role with which deploy-staging.yml deploys staging and compares its model.

It knows the stack's parameters and output; what the role may do is in the template.
"""

from __future__ import annotations

from pathlib import Path

from ml.aws import platform_stack, session
from ml.aws.cloudformation import deployed_stack, stack, workflow_roles
from ml.aws.cloudformation.workflow_roles import Trusted
from ml.aws.platform_stack import Platform
from ml.errors import ConfigError, Refused

TEMPLATE = Path("infra/github-staging.yaml")
VARIABLE = "FRAUDOPS_ROLE_STAGING"
"""The repository variable that names the role; deploy-staging.yml does nothing without it."""
_OUTPUT = "StagingRoleArn"
_USES_ENVIRONMENTS = "UseEnvironments"


def template(root: Path) -> str:
    """The template, from the checkout at `root`."""
    file = root / TEMPLATE
    if not file.is_file():
        raise ConfigError(f"{TEMPLATE} must be below {root}; run from the repository's root or give --repo")
    return file.read_text(encoding="utf-8")


def exists() -> bool:
    """Whether the stack was created, for the stack of staging that FRAUDOPS_STACK names.

    One whose creation failed counts as absent: it is created anew, and needs every parameter.
    """
    found = platform_stack.describe_stack(workflow_roles.stack_name())
    return found is not None and stack.was_created(found)


def apply(text: str, where: Platform, trusted: Trusted | None) -> stack.Applied:
    """Creates or updates the stack, for the stack of staging `where`, which FRAUDOPS_STACK names.

    Without `trusted`, the trusted repository stays the same. Whether the role trusts an environment is as in the stack
    of production's workflows' roles, because one repository variable says it for all workflows.

    Raises:
        Refused: the stack of production's platform, or that of its workflows' roles, does not exist, or its roles trust
            environments and `trusted` says that there are none.
        CloudError: a resource could not be created.
    """
    name = platform_stack.production_of(platform_stack.stack_name())
    roles = workflow_roles.stack_name(name)
    made = platform_stack.describe_stack(roles)
    if made is None or platform_stack.describe_stack(name) is None:
        raise Refused(
            f"the role of staging's workflow needs the stacks {name} and {roles}; make them first, with "
            f"`FRAUDOPS_STACK={name} fraudops bootstrap --repository OWNER/NAME`. Staging's stack exists"
        )
    environments = deployed_stack.parameters(made).get(_USES_ENVIRONMENTS, "true")
    if trusted is not None and not trusted.environments and environments == "true":
        raise Refused(
            f"the roles of {roles} trust environments, and the variable {workflow_roles.ENVIRONMENTS_VARIABLE} says so "
            f"to every workflow: run `FRAUDOPS_STACK={name} fraudops bootstrap --repository OWNER/NAME --configure "
            "--without-environments` first, or leave --without-environments out here. Staging's stack exists"
        )
    production = platform_stack.read(name)
    return stack.apply(
        workflow_roles.stack_name(),
        text,
        {
            **({"Repository": trusted.repository} if trusted is not None else {}),
            _USES_ENVIRONMENTS: environments,
            "ProviderArn": workflow_roles.provider() or "",
            "PlatformStack": name,
            "Bucket": production.bucket,
            "EndpointName": platform_stack.endpoint_name(name),
            "SigningKeyArn": _key_arn(f"alias/{name}-provenance"),
            "StagingStack": platform_stack.stack_name(),
            "StagingBucket": where.bucket,
            "StagingEndpointName": platform_stack.endpoint_name(),
        },
    )


def variables(applied: stack.Applied) -> dict[str, str]:
    """The repository variable that the stack defines."""
    return {VARIABLE: applied.outputs[_OUTPUT]}


def _key_arn(alias: str) -> str:
    with session.explained(f"reading the key {alias}"):
        return str(session.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["Arn"])
