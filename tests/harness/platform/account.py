"""An account and a repository that are ready for the first run, on both emulators; not a test itself.

They are bootstrapped as in an account, with rules, reviewers and Apps, and get what a person adds: quotas and keys.
"""

from __future__ import annotations

import base64
import copy
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_github.domain.records import Repository

from ml.aws import platform_stack
from ml.aws.cloudformation import workflow_roles
from ml.gitops import code_owners, environments, main_rules, repository_settings
from ml.gitops.environments import BOT, CI_STATUS, REVIEWED
from ml.gitops.github_apps import BOT_APP, BOT_KEY, BOTS, STATUS_APP, STATUS_KEY
from ml.gitops.github_client import GitHub
from tests.harness.github.emulator import NAME
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment

REVIEWER = "bob"
CHECKER, CHECKER_ID = "checker", 424_242
"""The status App."""
ROBOT, ROBOT_ID = "robot", 424_243
"""The bot's App."""
QUOTAS = {
    "ml.m5.xlarge for training job usage": 1,
    "ml.m5.xlarge for processing job usage": 1,
    "ml.m5.large for endpoint usage": 2,
}
CODE_OWNERS = code_owners.text(f"@{REVIEWER}")


@dataclass
class ReadyAccount:
    """A bootstrapped account and its repository, and the settings of both."""

    env: WorkflowEnvironment
    _sound: dict[str, dict[Any, Any]] = field(default_factory=dict, init=False)
    """The settings of the repository's record, by name, as a sound account has them; empty before the first."""

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

    def open_environment(self, name: str, *branches: str) -> None:
        """Opens an environment to more branches; to every branch if none is named."""
        for branch in branches:
            self.github("POST", f"/environments/{name}/deployment-branch-policies", {"name": branch})
        if not branches:
            self.github("PUT", f"/environments/{name}", {"deployment_branch_policy": None, "reviewers": self._users()})

    def set_reviewers(self, *logins: str, prevent_self_review: bool = True, can_admins_bypass: bool = False) -> None:
        """Sets the reviewers of the reviewed environment, without any other change."""
        policy = {"protected_branches": False, "custom_branch_policies": True}
        body: dict[str, Any] = {"deployment_branch_policy": policy, "prevent_self_review": prevent_self_review}
        body |= {"can_admins_bypass": can_admins_bypass, "reviewers": self._users(*logins)}
        self.github("PUT", f"/environments/{REVIEWED}", body)

    def _users(self, *logins: str) -> list[dict[str, Any]]:
        return [{"type": "User", "id": self.env.clouds.github.state.user(login).id} for login in logins]

    def remove_environment(self, name: str) -> None:
        """Removes an environment."""
        self.github("DELETE", f"/environments/{name}")

    def secrets_of(self, environment: str | None) -> dict[str, str]:
        """The secrets of an environment; of the repository if None."""
        record = self.repository
        return record.secrets if environment is None else record.environments[environment].secrets

    @property
    def ruleset(self) -> dict[str, Any]:
        """The ruleset that bootstrap has made, as GitHub keeps it."""
        (found,) = self.repository.rulesets.values()
        return found

    def commit_on_main(self, path: str, content: str) -> None:
        """Writes a file on main, past the rules."""
        rules = dict(self.repository.rulesets)
        self.repository.rulesets.clear()
        try:
            present = self.github("GET", f"/contents/{path}")
            encoded = base64.b64encode(content.encode()).decode()
            body = {"message": f"Write {path}", "content": encoded, "sha": present["sha"]}
            self.github("PUT", f"/contents/{path}", body)
        finally:
            self.repository.rulesets.update(rules)

    @property
    def variables(self) -> dict[str, str]:
        """The repository's Actions variables."""
        return self.repository.variables

    @property
    def repository(self) -> Repository:
        """The repository's record in the emulator."""
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
        """Makes every setting anew that `bootstrap` and a person make.

        Those of the repository's record are made once and copied back later: that takes no request.
        """
        self.set_quotas(instances=QUOTAS, lambda_concurrent_executions=1_000)
        for stack in (platform_stack.stack_name(), workflow_roles.stack_name()):
            self.set_drift(stack, "IN_SYNC")
        if not self._sound:
            self._configure()
            self._sound = {name: copy.deepcopy(getattr(self.repository, name)) for name in _SETTINGS}
        for name, sound in self._sound.items():
            kept = getattr(self.repository, name)
            kept.clear()
            kept.update(copy.deepcopy(sound))

    def _configure(self) -> None:
        record = self.repository
        for settings in (record.environments, record.rulesets, record.protections, record.secrets):
            settings.clear()
        github = GitHub(
            api_url=self.env.clouds.github.api_url,
            server_url=self.env.clouds.github.url,
            repository=NAME,
            token=self.env.clouds.github.token(_OWNER),
        )
        environments.ensure(github, environments.NAMES)
        environments.set_reviewers(github, REVIEWED, [REVIEWER])
        repository_settings.configure(github)
        main_rules.ensure(github, status_app=CHECKER_ID, bypass_app=ROBOT_ID)
        self.variables.update({STATUS_APP: "Iv1", BOT_APP: "Iv2", BOTS: f"github-actions[bot] {ROBOT}[bot]"})
        self.secrets_of(CI_STATUS)[STATUS_KEY] = "key"
        self.secrets_of(BOT)[BOT_KEY] = "key"


_OWNER = "acme"
_SETTINGS = ("protections", "rulesets", "variables", "secrets", "environments", "settings")
"""Fields of the repository's record in the GitHub emulator."""


@contextmanager
def ready(folder: Path) -> Iterator[ReadyAccount]:
    """A sound account: nothing is approved, and no scheduled run has started yet."""
    with environment.started(folder) as env:
        env.clouds.aws.quotas.set({"lambda_concurrent_executions": 1_000})
        env.push({code_owners.FILE: CODE_OWNERS}, "Name code owners")
        env.clouds.github.state.app_ids.update({CHECKER: CHECKER_ID, ROBOT: ROBOT_ID})
        env.clouds.github.state.user(REVIEWER)
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
