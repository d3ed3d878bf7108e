"""What the checks are about: the checkout, the two stacks of the account, and the repository on GitHub.

Each is read once, when a check first needs it. What cannot be read raises `CannotTell` in every check that needs it, so
that one fault is reported once, by the check of that subject.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ml import config
from ml.aws import platform_stack, session
from ml.aws.cloudformation import deployed_stack, platform_source, stack, staging_role, workflow_roles
from ml.aws.pipeline import image
from ml.config import DriftFile, ModelFile, ServingFile
from ml.diagnosis.check import CannotTell
from ml.errors import CloudError, GitHubError
from ml.gitops import actions_variables, main_rules, repository_settings
from ml.gitops.github_client import GitHub
from ml.gitops.main_rules import MainRules

_IDS = re.compile(r"@\d+")


class Subjects:
    """The subjects of one diagnosis.

    Args:
        root: the checkout.
        repository: OWNER/NAME; None takes GITHUB_REPOSITORY, or the repository that the roles' stack trusts.
        staging: staging's serving file and stacks in place of production's.
    """

    def __init__(self, root: Path, repository: str | None, *, staging: bool = False) -> None:
        self.root = root
        self._repository = repository
        self.staging = staging

    @cached_property
    def training(self) -> ModelFile:
        """model-config/training/model.yaml."""
        return config.load_model(self.root)

    @cached_property
    def drift(self) -> DriftFile:
        """model-config/monitoring/drift.yaml."""
        return config.load_drift(self.root)

    @cached_property
    def serving(self) -> ServingFile:
        """model-config/serving/production.yaml, or staging.yaml."""
        return config.read(self.root, self.serving_path, ServingFile)

    @property
    def serving_path(self) -> Path:
        """The path of `serving`."""
        return config.STAGING if self.staging else config.SERVING

    @property
    def caller(self) -> str:
        """The caller's ARN."""
        if isinstance(self._identity, CloudError):
            raise self._identity
        return self._identity

    @cached_property
    def _identity(self) -> str | CloudError:
        """What AWS says of the caller. Asked once: an unreachable AWS is not waited for by each check."""
        try:
            return platform_stack.caller()
        except CloudError as error:
            return error

    def require_account(self) -> None:
        """Raises `CannotTell` if AWS does not answer this caller, which the check of the identity reports."""
        if isinstance(self._identity, CloudError):
            raise CannotTell("the account cannot be read; see the line of the identity")

    @cached_property
    def region(self) -> str:
        """The region of this session; that of STS may be none, because STS has a global endpoint."""
        with session.explained("reading the region"):
            return str(session.client("cloudformation").meta.region_name)

    @cached_property
    def image(self) -> str:
        """The image of the jobs and the endpoint in this region. NoImage if there is none."""
        return image.image_uri(self.region)

    @property
    def stacks(self) -> tuple[str, str]:
        """The names of the platform's stack and of the roles'."""
        platform = platform_stack.staging_stack_name() if self.staging else platform_stack.stack_name()
        return platform, workflow_roles.stack_name(platform)

    @property
    def roles_template(self) -> Path:
        """The path of the template of the roles' stack."""
        return staging_role.TEMPLATE if self.staging else platform_source.IDENTITY

    @property
    def has_roles(self) -> bool:
        """Whether the roles' stack is expected: production's is, and staging's where its workflow has a role."""
        return not self.staging or self.description(self.stacks[1]) is not None

    def description(self, name: str) -> Mapping[str, Any] | None:
        """CloudFormation's description of a stack; None if there is none or if it has no resources."""
        self.require_account()
        if name not in self._descriptions:
            found = platform_stack.describe_stack(name)
            self._descriptions[name] = found if found is not None and found["StackStatus"] != stack.UNUSED else None
        return self._descriptions[name]

    @cached_property
    def _descriptions(self) -> dict[str, Mapping[str, Any] | None]:
        return {}

    def usable(self, name: str) -> Mapping[str, Any]:
        """The description of a stack whose resources exist; `CannotTell` for any other."""
        found = self.description(name)
        if found is None:
            raise CannotTell(f"there is no stack {name}")
        if not platform_stack.is_usable(found["StackStatus"]):
            raise CannotTell(f"stack {name} is {found['StackStatus']}")
        return found

    def resources(self, name: str) -> dict[str, tuple[str, str]]:
        """Type and physical id of each resource of a usable stack, by logical id."""
        self.usable(name)
        if name not in self._resources:
            self._resources[name] = deployed_stack.resources(name)
        return self._resources[name]

    @cached_property
    def _resources(self) -> dict[str, dict[str, tuple[str, str]]]:
        return {}

    @property
    def named_repository(self) -> str | None:
        """OWNER/NAME as the caller or the environment names it; None leaves it to the roles' stack."""
        return self._repository or os.environ.get("GITHUB_REPOSITORY") or None

    @property
    def bootstrap(self) -> str:
        """The command that creates the stacks, for the repository that is named."""
        options = f" --repository {self.named_repository} --configure" if self.named_repository else ""
        return f"fraudops bootstrap{options}"

    @property
    def github(self) -> GitHub:
        """The client of a repository that can be read; `CannotTell` for any other, which its own check reports."""
        client = self.client
        if self.unreadable is not None:
            raise CannotTell("the repository cannot be read; see its line")
        return client

    @cached_property
    def unreadable(self) -> GitHubError | None:
        """Why the repository cannot be read; None if it can. Asked once, as the identity."""
        try:
            repository_settings.require(self.client)
        except GitHubError as error:
            return error
        return None

    @cached_property
    def client(self) -> GitHub:
        """The client of the repository, which may not exist."""
        if not os.environ.get("GITHUB_TOKEN"):
            raise CannotTell(
                "GITHUB_TOKEN is not set; give a token that may read the repository's administration, Actions, "
                "variables and environments"
            )
        return GitHub.from_environment(repository=self.repository)

    @cached_property
    def repository(self) -> str:
        """OWNER/NAME of the repository on GitHub."""
        if self.named_repository:
            return self.named_repository
        roles, trusted = workflow_roles.stack_name(), None
        if self.description(roles) is not None:
            trusted = deployed_stack.parameters(self.usable(roles)).get("Repository")
        if not trusted:
            raise CannotTell(f"no repository is named, and no stack {roles} trusts one; give --repository OWNER/NAME")
        return _IDS.sub("", trusted)  # the stack names it as its OIDC tokens do

    @cached_property
    def variables(self) -> dict[str, str]:
        """The repository's Actions variables."""
        return actions_variables.read(self.github)

    def readable_variables(self) -> dict[str, str] | None:
        """The variables; None if they cannot be read, which is reported by the check of the variables."""
        try:
            return self.variables
        except (CannotTell, CloudError, GitHubError):
            return None

    @property
    def uses_environments(self) -> bool:
        """Whether the workflows use environments, as their variable says."""
        return (self.readable_variables() or {}).get(workflow_roles.ENVIRONMENTS_VARIABLE) != "false"

    def app(self, variable: str) -> str | None:
        """The client id that `variable` holds for an App; None if it is not set."""
        found = self.readable_variables()
        if found is None:
            raise CannotTell("the variables cannot be read; see their line")
        return found.get(variable) or None

    @cached_property
    def main_rules(self) -> MainRules:
        """The rules of main."""
        return main_rules.read(self.github)
