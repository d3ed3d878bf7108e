"""The faults that an account and its repository can have; not a test itself.

Each seeds one fault into a sound account on the emulators. `ReadyAccount.settle` undoes what is a setting; what it does
not know, a fault undoes itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import platform_stack
from ml.aws.cloudformation import deployed_stack, workflow_roles
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from tests.harness.git import repositories
from tests.harness.platform.account import APP, PROTECTION, QUOTAS, REVIEWER, ReadyAccount

Seed = Callable[[ReadyAccount, pytest.MonkeyPatch], AbstractContextManager[None]]
_FAILING_STACK = """
Resources:
  Group:
    Type: AWS::SageMaker::ModelPackageGroup
    Properties: {ModelPackageGroupName: fraudops-model}  # the platform has one of that name
"""


@dataclass(frozen=True)
class Fault:
    """A fault: the subject of the one line that must name it, words of that line, and how it is made."""

    name: str
    subject: str
    says: str
    seed: Seed


@contextmanager
def _nothing_to_undo() -> Iterator[None]:
    yield


def _environment(**values: str | None) -> Seed:
    """Environment variables of the verb; None removes one."""

    def seed(_: ReadyAccount, patch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        for name, value in values.items():
            if value is None:
                patch.delenv(name)
            else:
                patch.setenv(name, value)
        return _nothing_to_undo()

    return seed


def _quotas(**changed: int) -> Seed:
    """Quotas of instances, by the use of each."""

    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        lowered = {name: changed.get(name.split(" for ")[1].split()[0], value) for name, value in QUOTAS.items()}
        account.set_quotas(instances=lowered)
        return _nothing_to_undo()

    return seed


def _concurrency(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    account.set_quotas(lambda_concurrent_executions=10)
    return _nothing_to_undo()


def _file(path: str | Path, old: str, new: str) -> Seed:
    """A file of the checkout that differs from what was deployed."""

    @contextmanager
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> Iterator[None]:
        file = account.root / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        try:
            yield
        finally:
            file.write_text(text)

    return seed


@contextmanager
def _no_code_owners(account: ReadyAccount, _: pytest.MonkeyPatch) -> Iterator[None]:
    file = account.root / ".github/CODEOWNERS"
    text = file.read_text()
    file.unlink()
    try:
        yield
    finally:
        file.write_text(text)


def _drift(stack: Callable[[], str]) -> Seed:
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        account.set_drift(stack(), "DRIFTED")
        return _nothing_to_undo()

    return seed


def _without_policy(stack: Callable[[], str], role: str) -> Seed:
    """An inline policy of a role that was removed by hand."""

    @contextmanager
    def seed(_: ReadyAccount, __: pytest.MonkeyPatch) -> Iterator[None]:
        iam, name = client("iam"), deployed_stack.resources(stack())[role][1]
        policy = iam.list_role_policies(RoleName=name)["PolicyNames"][0]
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
        try:
            yield
        finally:
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=_json(document))

    return seed


def _bounded(_: ReadyAccount, __: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    """A permissions boundary, as an administrator of the account sets one."""
    iam, name = client("iam"), deployed_stack.resources(workflow_roles.stack_name())["TrainRole"][1]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    policy = iam.create_policy(PolicyName="only-s3", PolicyDocument=_json(document))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=policy)

    undo = ExitStack()
    undo.callback(iam.delete_policy, PolicyArn=policy)
    undo.callback(iam.delete_role_permissions_boundary, RoleName=name)
    return undo  # type: ignore[return-value] # an ExitStack yields itself


@contextmanager
def _other_trust(_: ReadyAccount, __: pytest.MonkeyPatch) -> Iterator[None]:
    """A role that trusts another repository, as after a rename or by hand."""
    iam, name = client("iam"), deployed_stack.resources(workflow_roles.stack_name())["DriftRole"][1]
    document = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    other = _json(document).replace("fraudops", "former")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=other)
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=_json(document))


def _json(document: Any) -> str:
    import json

    return document if isinstance(document, str) else json.dumps(document)


@contextmanager
def _failed_stack(_: ReadyAccount, patch: pytest.MonkeyPatch) -> Iterator[None]:
    patch.setenv("FRAUDOPS_STACK", "broken")
    client("cloudformation").create_stack(StackName="broken", TemplateBody=_FAILING_STACK)
    found = platform_stack.describe_stack("broken")
    assert found is not None
    assert found["StackStatus"] == "ROLLBACK_COMPLETE"
    try:
        yield
    finally:
        client("cloudformation").delete_stack(StackName="broken")


def _without_roles(account: ReadyAccount, patch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    patch.setenv("FRAUDOPS_STACK", "second")
    bootstrap(account.root)
    return _nothing_to_undo()


def _variable(name: str, value: str | None) -> Seed:
    """A variable of the repository with another value, or without one."""

    @contextmanager
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> Iterator[None]:
        variables = account.variables
        before = dict(variables)
        if value is None:
            del variables[name]
        else:
            variables[name] = value
        try:
            yield
        finally:
            variables.clear()
            variables.update(before)

    return seed


def _put(path: str, body: Any, *, method: str = "PUT") -> Seed:
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        account.github(method, path, body)
        return _nothing_to_undo()

    return seed


def _tokens(**changed: Any) -> Seed:
    sound = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
    return _put("/actions/permissions/workflow", {**sound, **changed})


def _protection(change: Callable[[dict[str, Any]], None]) -> Seed:
    rule = copy.deepcopy(PROTECTION)
    change(rule)
    return _put("/branches/main/protection", rule)


def _source(app: int) -> Seed:
    checks = {"strict": False, "checks": [{"context": "fraudops/ci", "app_id": app}]}
    return _protection(lambda rule: rule.update(required_status_checks=checks))


def _reviews(**changed: Any) -> Seed:
    return _protection(lambda rule: rule["required_pull_request_reviews"].update(changed))


def _production(*, branches: tuple[str, ...] | None = ("main",), reviewer: str | None = REVIEWER) -> Seed:
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        account.set_environment("production", branches=branches, reviewer=reviewer)
        return _nothing_to_undo()

    return seed


def _open(name: str) -> Seed:
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[None]:
        account.set_environment(name, branches=None, reviewer=None)
        return _nothing_to_undo()

    return seed


def _no_production(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    account.remove_environment("production")
    return _nothing_to_undo()


def _app_without_bypass(account: ReadyAccount, patch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    _reviews(bypass_pull_request_allowances={"apps": []})(account, patch)
    return _variable("FRAUDOPS_APP_CLIENT_ID", APP)(account, patch)


@contextmanager
def _disabled(account: ReadyAccount, _: pytest.MonkeyPatch) -> Iterator[None]:
    account.env.switch("drift.yml", on=False)
    try:
        yield
    finally:
        account.env.switch("drift.yml", on=True)


def _three_days_later(_: ReadyAccount, patch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    patch.setenv("FRAUDOPS_NOW", (datetime.now(UTC) + timedelta(days=3)).isoformat())
    return _nothing_to_undo()


@contextmanager
def _serving_unchecked(account: ReadyAccount, patch: pytest.MonkeyPatch) -> Iterator[None]:
    record = repositories.record(1, created=datetime.now(UTC) - timedelta(days=60))
    file = account.root / config.approval_path(1)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(config.dump(record))
    try:
        with _file(config.SERVING, "approval: null", "approval: 1")(account, patch):
            yield
    finally:
        file.unlink()


PLATFORM, ROLES = platform_stack.stack_name, workflow_roles.stack_name
FAULTS = (
    Fault("no-credentials", "identity", "sign in", _environment(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)),
    Fault("no-region", "region", "set AWS_REGION", _environment(AWS_REGION=None, AWS_DEFAULT_REGION=None)),
    Fault("other-region", "region", "is eu-west-1", _variable("FRAUDOPS_REGION", "eu-west-1")),
    Fault(
        "training-quota", "quota for training jobs", "--quota-code L-CCE2AFA6 --desired-value 1", _quotas(training=0)
    ),
    Fault("processing-quota", "quota for processing jobs", "request-service-quota-increase", _quotas(processing=0)),
    Fault("endpoint-quota", "quota for endpoint", "is 1, and 2 are needed", _quotas(endpoint=1)),
    Fault("concurrency", "Lambda concurrency", "--reserve-concurrency 0", _concurrency),
    Fault("no-stack", "stack absent", "create it: fraudops bootstrap", _environment(FRAUDOPS_STACK="absent")),
    Fault("failed-stack", "stack broken", "ROLLBACK_COMPLETE", _failed_stack),
    Fault("no-roles", "stack second-github", "no workflow has a role", _without_roles),
    Fault("template", "template fraudops", "infra/platform.yaml", _file("infra/platform.yaml", "365", "30")),
    Fault("code", "template fraudops", "deploy function", _file("infra/deploy_model/logic.py", '"""', '"""Changed. ')),
    Fault("endpoint", "template fraudops", "names other", _file(config.SERVING, "fraudops-production", "other")),
    Fault(
        "roles-template", "template fraudops-github", "infra/github", _file("infra/github-oidc.yaml", "3600", "7200")
    ),
    Fault("drift", "drift of fraudops", "changed by hand", _drift(PLATFORM)),
    Fault("roles-drift", "drift of fraudops-github", "changed by hand", _drift(ROLES)),
    Fault(
        "job-policy",
        "permissions of fraudops ExecutionRole",
        "s3:ListBucket",
        _without_policy(PLATFORM, "ExecutionRole"),
    ),
    Fault(
        "drift-policy", "permissions of fraudops-github DriftRole", "no statement", _without_policy(ROLES, "DriftRole")
    ),
    Fault("boundary", "permissions of fraudops-github TrainRole", "cloudformation:DescribeStacks", _bounded),
    Fault("no-variable", "variables", "FRAUDOPS_ROLE_DRIFT missing", _variable("FRAUDOPS_ROLE_DRIFT", None)),
    Fault("other-variable", "variables", "FRAUDOPS_STACK is x", _variable("FRAUDOPS_STACK", "x")),
    Fault("other-trust", "OIDC subject", "the role of FRAUDOPS_ROLE_DRIFT trusts", _other_trust),
    Fault("no-pull-requests", "pull requests by Actions", "tick", _tokens(can_approve_pull_request_reviews=False)),
    Fault("write-token", "workflow token", "may write", _tokens(default_workflow_permissions="write")),
    Fault("no-merges", "merge method", "not allowed", _put("", {"allow_merge_commit": False}, method="PATCH")),
    Fault("squash", "merge method", "squash merges", _put("", {"allow_squash_merge": True}, method="PATCH")),
    Fault("no-environment", "environment production", "there is no environment", _no_production),
    Fault("open-environment", "environment production", "every branch", _production(branches=None)),
    Fault("wide-environment", "environment production", "open to main, x/*", _production(branches=("main", "x/*"))),
    Fault("open-train", "environment train", "every branch", _open("train")),
    Fault("open-drift", "environment drift", "every branch", _open("drift")),
    Fault("open-infrastructure", "environment infrastructure", "every branch", _open("infrastructure")),
    Fault("no-reviewer", "reviewers of production", "nobody's approval", _production(reviewer=None)),
    Fault("no-approval", "reviews on main", "needs no approval", _reviews(required_approving_review_count=0)),
    Fault(
        "no-pull-request",
        "reviews on main",
        "without a pull request",
        _protection(lambda rule: rule.update(required_pull_request_reviews=None)),
    ),
    Fault("no-code-owners", "code owners on main", "has no .github/CODEOWNERS", _no_code_owners),
    Fault("unowned", "code owners on main", "no owner of infra/", _file(".github/CODEOWNERS", "infra/ @bob\n", "")),
    Fault("owners-unasked", "code owners on main", "tick it", _reviews(require_code_owner_reviews=False)),
    Fault(
        "no-check",
        "required check on main",
        "does not require",
        _protection(lambda rule: rule.update(required_status_checks=None)),
    ),
    Fault("any-source", "source of fraudops/ci", "no App is named", _source(-1)),
    Fault("actions-source", "source of fraudops/ci", "the Actions App", _source(15_368)),
    Fault(
        "force-pushes",
        "force pushes to main",
        "can be rewritten",
        _protection(lambda rule: rule.update(allow_force_pushes=True)),
    ),
    Fault("no-bypass", "the App's pushes to main", "may not push", _app_without_bypass),
    Fault("disabled", "drift schedule", "gh workflow enable drift.yml", _disabled),
    Fault("never-fired", "last scheduled run", "never fired", _three_days_later),
    Fault("unchecked", "last drift check", "more than 33 days ago", _serving_unchecked),
)
