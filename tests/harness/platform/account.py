"""An account and a repository that are ready for the first run, on both emulators; not a test itself.

They are bootstrapped as the end-to-end tests do, and get the settings that a person makes: quotas, environments, rules.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_github.domain.records import Repository

from ml.aws import platform_stack
from ml.aws.cloudformation import workflow_roles
from ml.diagnosis.protection import ENVIRONMENTS, REVIEWED
from tests.harness.github.emulator import NAME
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment

REVIEWER = "bob"
APP, APP_ID = "fraudops-app", 424_242
QUOTAS = {
    "ml.m5.xlarge for training job usage": 1,
    "ml.m5.xlarge for processing job usage": 1,
    "ml.m5.large for endpoint usage": 2,
}
CODE_OWNERS = "model-config/ @bob\ninfra/ @bob\n.github/ @bob\n"
PROTECTION: dict[str, Any] = {
    "required_status_checks": {"strict": False, "checks": [{"context": "fraudops/ci", "app_id": APP_ID}]},
    "enforce_admins": True,
    "required_pull_request_reviews": {
        "required_approving_review_count": 1,
        "require_code_owner_reviews": True,
        "bypass_pull_request_allowances": {"apps": [{"slug": APP}]},
    },
    "restrictions": None,
}


@dataclass
class ReadyAccount:
    """A bootstrapped account and its repository, and the settings of both."""

    env: WorkflowEnvironment

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.env.bot.root

    def github(self, method: str, path: str, body: Any = None) -> Any:
        """Calls GitHub's API below the repository as its owner."""
        github = self.env.clouds.github
        return _call(method, f"{github.api_url}/repos/{NAME}{path}", body, f"Bearer {github.token(_OWNER)}")

    def set_quotas(self, **quotas: Any) -> None:
        """Sets quotas of the account."""
        self.env.clouds.aws.quotas.set(quotas)

    def set_drift(self, stack: str, status: str) -> None:
        """Sets the result of a stack's drift detection."""
        _call("POST", f"{self.env.clouds.aws.url}/local-aws/stack-drift", {"stack": stack, "status": status})

    def set_environment(self, name: str, *, branches: tuple[str, ...] | None, reviewer: str | None) -> None:
        """Makes an environment anew: its branches, None for all, and its reviewer."""
        self.remove_environment(name)
        policy = None if branches is None else {"protected_branches": False, "custom_branch_policies": True}
        users = [{"type": "User", "id": self.env.clouds.github.state.user(reviewer).id}] if reviewer else []
        self.github("PUT", f"/environments/{name}", {"deployment_branch_policy": policy, "reviewers": users})
        for branch in branches or ():
            self.github("POST", f"/environments/{name}/deployment-branch-policies", {"name": branch})

    def remove_environment(self, name: str) -> None:
        """Removes an environment, if it exists."""
        self._repository.environments.pop(name, None)

    @property
    def variables(self) -> dict[str, str]:
        """The repository's Actions variables."""
        return self._repository.variables

    @property
    def _repository(self) -> Repository:
        found = self.env.clouds.github.state.find(*NAME.split("/"))
        assert found is not None
        return found

    def restricted_caller(self) -> dict[str, str]:
        """Credentials of a user who may read everything but simulate no policy."""
        aws, name = self.env.clouds.aws, "restricted"
        iam = aws.client("iam")
        allowed = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        denied = {"Effect": "Deny", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed, denied]})
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def settle(self) -> None:
        """Makes the settings that a person makes after `bootstrap`."""
        self.set_quotas(instances=QUOTAS, lambda_concurrent_executions=1_000)
        for stack in (platform_stack.stack_name(), workflow_roles.stack_name()):
            self.set_drift(stack, "IN_SYNC")
        for name in ENVIRONMENTS:
            self.set_environment(name, branches=("main",), reviewer=REVIEWER if name == REVIEWED else None)
        self.github("PATCH", "", {"allow_merge_commit": True, "allow_squash_merge": False})
        tokens = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
        self.github("PUT", "/actions/permissions/workflow", tokens)
        self.github("PUT", "/branches/main/protection", PROTECTION)


_OWNER = "acme"


@contextmanager
def ready(folder: Path) -> Iterator[ReadyAccount]:
    """A sound account: nothing is approved, and no scheduled run has started yet."""
    with environment.started(folder) as env:
        env.clouds.aws.quotas.set({"lambda_concurrent_executions": 1_000})
        env.push({".github/CODEOWNERS": CODE_OWNERS}, "Name code owners")
        environment.equip(env)
        account = ReadyAccount(env)
        account.settle()
        yield account


def _call(method: str, url: str, body: Any, authorization: str = "") -> Any:
    request = urllib.request.Request(  # noqa: S310 - an emulator on loopback
        url, method=method, data=None if body is None else json.dumps(body).encode()
    )
    request.add_header("Content-Type", "application/json")
    if authorization:
        request.add_header("Authorization", authorization)
    with urllib.request.urlopen(request) as response:  # noqa: S310 - as above
        content = response.read()
    return json.loads(content) if content else None
