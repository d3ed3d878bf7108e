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
from ml.gitops import code_owners
from ml.gitops.environments import BOT, CI_STATUS, INFRASTRUCTURE, PRODUCTION, SERVING_IMAGE, STAGING
from ml.gitops.github_apps import ACTIONS_APP, BOT_APP, BOT_KEY, BOTS, STATUS_APP, STATUS_KEY
from tests.harness.git import repositories
from tests.harness.platform.account import CHECKER_ID, CODE_OWNERS, QUOTAS, REVIEWER, ReadyAccount

Seed = Callable[[ReadyAccount, pytest.MonkeyPatch], AbstractContextManager[object]]
_FAILING_STACK = """
Resources:
  Group:
    Type: AWS::SageMaker::ModelPackageGroup
    Properties: {ModelPackageGroupName: fraudops-model}  # the platform has one of that name
"""
_EMPTY_STACK = """
Conditions: {Never: !Equals [a, b]}
Resources:
  Topic: {Type: AWS::SNS::Topic, Condition: Never}
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

    def seed(_: ReadyAccount, patch: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        for name, value in values.items():
            if value is None:
                patch.delenv(name)
            else:
                patch.setenv(name, value)
        return _nothing_to_undo()

    return seed


def _quotas(**changed: int) -> Seed:
    """Quotas of instances, by the use of each."""

    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        lowered = {name: changed.get(name.split(" for ")[1].split()[0], value) for name, value in QUOTAS.items()}
        account.set_quotas(instances=lowered)
        return _nothing_to_undo()

    return seed


def _concurrency(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
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


def _with_another_endpoint(other: Seed) -> Seed:
    """`other` in a checkout whose endpoint no other stack of the account has, so that its stack is the only fault."""

    @contextmanager
    def seed(account: ReadyAccount, patch: pytest.MonkeyPatch) -> Iterator[None]:
        with _file(config.SERVING, "fraudops-production", "fraudops-other")(account, patch), other(account, patch):
            yield

    return seed


def _owners(content: str) -> Seed:
    """Other code owners on main."""

    @contextmanager
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> Iterator[None]:
        account.commit_on_main(str(code_owners.FILE), content)
        try:
            yield
        finally:
            account.commit_on_main(str(code_owners.FILE), CODE_OWNERS)

    return seed


def _drift(stack: Callable[[], str]) -> Seed:
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
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


def _bounded(_: ReadyAccount, __: pytest.MonkeyPatch) -> AbstractContextManager[object]:
    """A permissions boundary, as an administrator of the account sets one."""
    iam, name = client("iam"), deployed_stack.resources(workflow_roles.stack_name())["TrainRole"][1]
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    policy = iam.create_policy(PolicyName="only-s3", PolicyDocument=_json(document))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=policy)

    undo = ExitStack()
    undo.callback(iam.delete_policy, PolicyArn=policy)
    undo.callback(iam.delete_role_permissions_boundary, RoleName=name)
    return undo


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


def _other_stack(name: str, **parameters: str) -> Seed:
    """Another stack of the account, with these parameters."""

    @contextmanager
    def seed(_: ReadyAccount, __: pytest.MonkeyPatch) -> Iterator[None]:
        declared = "".join(f"  {key}: {{Type: String}}\n" for key in parameters)
        client("cloudformation").create_stack(
            StackName=name,
            TemplateBody=(f"Parameters:\n{declared}" if declared else "") + _EMPTY_STACK,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        try:
            yield
        finally:
            client("cloudformation").delete_stack(StackName=name)

    return seed


def _without_roles(account: ReadyAccount, patch: pytest.MonkeyPatch) -> AbstractContextManager[object]:
    patch.setenv("FRAUDOPS_STACK", "second")
    undo = ExitStack()
    undo.enter_context(_file(config.SERVING, "fraudops-production", "second")(account, patch))
    bootstrap(account.root)
    return undo


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
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        account.github(method, path, body)
        return _nothing_to_undo()

    return seed


@contextmanager
def _own_claims(account: ReadyAccount, _: pytest.MonkeyPatch) -> Iterator[None]:
    path = "/actions/oidc/customization/sub"
    account.github("PUT", path, {"use_default": False, "include_claim_keys": ["repo", "job_workflow_ref"]})
    try:
        yield
    finally:
        account.github("PUT", path, {"use_default": True})


def _tokens(**changed: Any) -> Seed:
    sound = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
    return _put("/actions/permissions/workflow", {**sound, **changed})


def _rules(change: Callable[[dict[str, dict[str, Any]]], None]) -> Seed:
    """A change of the rules of main, by the type of each."""

    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        rules = {rule["type"]: copy.deepcopy(rule) for rule in account.ruleset["rules"]}
        change(rules)
        account.ruleset["rules"] = list(rules.values())
        return _nothing_to_undo()

    return seed


def _without(kind: str) -> Seed:
    def change(rules: dict[str, dict[str, Any]]) -> None:
        del rules[kind]

    return _rules(change)


def _reviews(**changed: Any) -> Seed:
    return _rules(lambda rules: rules["pull_request"]["parameters"].update(changed))


def _source(**source: int) -> Seed:
    check = {"context": "fraudops/ci", **source}
    return _rules(lambda rules: rules["required_status_checks"]["parameters"].update(required_status_checks=[check]))


def _bypasses(kind: str, number: int) -> Seed:
    """One more bypass of the rules of main."""

    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        actor = {"actor_id": number, "actor_type": kind, "bypass_mode": "pull_request"}
        account.ruleset["bypass_actors"] = [*account.ruleset["bypass_actors"], actor]
        return _nothing_to_undo()

    return seed


def _nobody_bypasses(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
    account.ruleset["bypass_actors"] = []
    return _nothing_to_undo()


def _open(name: str, *branches: str) -> Seed:
    """An environment that more branches may use; every branch if none is named."""

    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        account.open_environment(name, *branches)
        return _nothing_to_undo()

    return seed


def _open_production(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
    account.set_reviewers(REVIEWER)
    account.repository.environments[PRODUCTION].custom_policies = False
    return _nothing_to_undo()


def _open_to_protected(name: str) -> Seed:
    """An environment whose setting is "Protected branches only"."""

    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        policy = {"protected_branches": True, "custom_branch_policies": False}
        account.github("PUT", f"/environments/{name}", {"deployment_branch_policy": policy})
        return _nothing_to_undo()

    return seed


def _reviewers(*logins: str, **settings: bool) -> Seed:
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        account.set_reviewers(*logins, **settings)
        return _nothing_to_undo()

    return seed


def _no_environment(name: str) -> Seed:
    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        account.remove_environment(name)
        return _nothing_to_undo()

    return seed


def _secret(name: str, environment: str | None, value: str | None) -> Seed:
    """A secret of an environment, None for the repository's own, that is set or removed."""

    def seed(account: ReadyAccount, _: pytest.MonkeyPatch) -> AbstractContextManager[object]:
        secrets = account.secrets_of(environment)
        if value is None:
            del secrets[name]
        else:
            secrets[name] = value
        return _nothing_to_undo()

    return seed


@contextmanager
def _disabled(account: ReadyAccount, _: pytest.MonkeyPatch) -> Iterator[None]:
    account.env.switch("drift.yml", on=False)
    try:
        yield
    finally:
        account.env.switch("drift.yml", on=True)


def _three_days_later(_: ReadyAccount, patch: pytest.MonkeyPatch) -> AbstractContextManager[object]:
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
_POLICIES = tuple(
    Fault(f"{stack}-{role}".lower(), f"permissions of {stack} {role}", "no statement", _without_policy(name, role))
    for name, stack, roles in (
        (PLATFORM, "fraudops", ("EndpointRole", "DeployRole")),
        (ROLES, "fraudops-github", ("TrainRole", "DeployRole", "PlanRole", "InfraRole")),
    )
    for role in roles
)
FAULTS = (
    Fault("no-credentials", "identity", "sign in", _environment(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)),
    Fault(
        "expired-credentials", "identity", "expired or wrong: sign in again", _environment(AWS_ACCESS_KEY_ID="AKIAOLD")
    ),
    Fault("unknown-profile", "identity", "list-profiles", _environment(AWS_PROFILE="none")),
    Fault("no-repository", "repository", "no repository acme/none", _environment(GITHUB_REPOSITORY="acme/none")),
    Fault("no-region", "region", "set AWS_REGION", _environment(AWS_REGION=None, AWS_DEFAULT_REGION=None)),
    Fault("other-region", "region", "is eu-west-1", _variable("FRAUDOPS_REGION", "eu-west-1")),
    Fault(
        "training-quota", "quota for training jobs", "--quota-code L-CCE2AFA6 --desired-value 1", _quotas(training=0)
    ),
    Fault("processing-quota", "quota for processing jobs", "request-service-quota-increase", _quotas(processing=0)),
    Fault("endpoint-quota", "quota for endpoint", "is 1, and 2 are needed", _quotas(endpoint=1)),
    Fault("concurrency", "Lambda concurrency", "--reserve-concurrency 0", _concurrency),
    Fault(
        "no-stack",
        "stack absent",
        "create it: fraudops bootstrap",
        _with_another_endpoint(_environment(FRAUDOPS_STACK="absent")),
    ),
    Fault("failed-stack", "stack broken", "ROLLBACK_COMPLETE", _with_another_endpoint(_failed_stack)),
    Fault(
        "longer-name",
        "stack names",
        "the infrastructure role of fraudops may change resources of fraudops-eu",
        _other_stack("fraudops-eu"),
    ),
    Fault(
        "same-endpoint",
        "stack names",
        "stack team of this account and region has the endpoint fraudops-production already",
        _other_stack("team", EndpointName="fraudops-production", CodeKey="deploy_model/x.zip"),
    ),
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
        "counting-policy",
        "permissions of fraudops CountingRole",
        "no statement",
        _without_policy(PLATFORM, "CountingRole"),
    ),
    Fault(
        "drift-policy", "permissions of fraudops-github DriftRole", "no statement", _without_policy(ROLES, "DriftRole")
    ),
    *_POLICIES,
    Fault("boundary", "permissions of fraudops-github TrainRole", "cloudformation:DescribeStacks", _bounded),
    Fault("no-variable", "variables", "FRAUDOPS_ROLE_DRIFT missing", _variable("FRAUDOPS_ROLE_DRIFT", None)),
    Fault("other-variable", "variables", "FRAUDOPS_STACK is x", _variable("FRAUDOPS_STACK", "x")),
    Fault("other-trust", "OIDC subject", "the role of FRAUDOPS_ROLE_DRIFT trusts", _other_trust),
    Fault("own-claims", "OIDC subject", "repo, job_workflow_ref", _own_claims),
    Fault("no-pull-requests", "pull requests by Actions", "tick", _tokens(can_approve_pull_request_reviews=False)),
    Fault("write-token", "workflow token", "may write", _tokens(default_workflow_permissions="write")),
    Fault("no-merges", "merge method", "not allowed", _put("", {"allow_merge_commit": False}, method="PATCH")),
    Fault("squash", "merge method", "squash merges", _put("", {"allow_squash_merge": True}, method="PATCH")),
    Fault(
        "environments-variable",
        "variables",
        "FRAUDOPS_ENVIRONMENTS missing",
        _variable("FRAUDOPS_ENVIRONMENTS", None),
    ),
    Fault(
        "environments-unused",
        "variables",
        "FRAUDOPS_ENVIRONMENTS is false, and the stack has true",
        _variable("FRAUDOPS_ENVIRONMENTS", "false"),
    ),
    Fault("no-environment", "environment production", "there is no environment", _no_environment(PRODUCTION)),
    Fault("no-ci-status", "environment ci-status", "there is no environment", _no_environment(CI_STATUS)),
    Fault("open-environment", "environment production", "every branch", _open_production),
    Fault("wide-environment", "environment production", "open to main, x/*", _open(PRODUCTION, "x/*")),
    Fault("open-train", "environment train", "every branch", _open("train")),
    Fault("open-drift", "environment drift", "every branch", _open("drift")),
    Fault("open-infrastructure", "environment infrastructure", "every branch", _open(INFRASTRUCTURE)),
    Fault("open-serving-image", "environment serving-image", "every branch", _open(SERVING_IMAGE)),
    Fault("open-staging", "environment staging", "every branch", _open(STAGING)),
    Fault("open-ci-status", "environment ci-status", "every branch", _open(CI_STATUS)),
    Fault("protected-branches", "environment train", "every protected branch", _open_to_protected("train")),
    Fault("no-reviewer", "reviewers of production", "nobody's approval", _reviewers()),
    Fault("self-review", "reviewers of production", "may approve it", _reviewers(REVIEWER, prevent_self_review=False)),
    Fault("admins-bypass", "reviewers of production", "an administrator", _reviewers(REVIEWER, can_admins_bypass=True)),
    Fault("no-status-app", "status App", f"gh variable set {STATUS_APP}", _variable(STATUS_APP, None)),
    Fault(
        "no-status-key",
        "status App",
        f"gh secret set {STATUS_KEY} --env ci-status",
        _secret(STATUS_KEY, CI_STATUS, None),
    ),
    Fault("bot-unnamed", "bot's App", f"gh variable set {BOTS}", _variable(BOTS, "github-actions[bot]")),
    Fault("open-bot", "environment bot", "every branch", _open(BOT)),
    Fault("bot-key-beside-role", "bot's App", "the environment drift has the secret", _secret(BOT_KEY, "drift", "key")),
    Fault("no-bot-key", "bot's App", f"gh secret set {BOT_KEY} --env bot", _secret(BOT_KEY, BOT, None)),
    Fault("shared-key", "repository secrets", "every branch can read the secret", _secret(BOT_KEY, None, "key")),
    Fault("shared-status-key", "repository secrets", "environment ci-status", _secret(STATUS_KEY, None, "key")),
    Fault("no-approval", "reviews on main", "needs no approval", _reviews(required_approving_review_count=0)),
    Fault("no-pull-request", "reviews on main", "without a pull request", _without("pull_request")),
    Fault("stale", "reviews on main", "keeps approvals", _reviews(dismiss_stale_reviews_on_push=False)),
    Fault("last-push", "reviews on main", "last pusher's own approval", _reviews(require_last_push_approval=False)),
    Fault(
        "unowned", "code owners on main", "/infra/ have no code owner", _owners(CODE_OWNERS.replace("/infra/", "/x/"))
    ),
    Fault("owners-unasked", "code owners on main", "requires no review", _reviews(require_code_owner_review=False)),
    Fault("no-check", "required check on main", "does not require", _without("required_status_checks")),
    Fault("any-source", "source of fraudops/ci", "no App is named", _source()),
    Fault("actions-source", "source of fraudops/ci", "the Actions App", _source(integration_id=ACTIONS_APP)),
    Fault("force-pushes", "force pushes to main", "can be rewritten", _without("non_fast_forward")),
    Fault("deletion", "deletion of main", "can be deleted", _without("deletion")),
    Fault("exempt-admins", "exemptions on main", "administrators of the repository", _bypasses("RepositoryRole", 5)),
    Fault("exempt-actions", "exemptions on main", "the workflow of any branch", _bypasses("Integration", ACTIONS_APP)),
    Fault("exempt-app", "exemptions on main", f"App {CHECKER_ID} bypasses", _bypasses("Integration", CHECKER_ID)),
    Fault("bypass-unused", "exemptions on main", f"{BOT_APP} names no App", _variable(BOT_APP, None)),
    Fault("no-bypass", "the App's pushes to main", "may not push", _nobody_bypasses),
    Fault("disabled", "drift schedule", "gh workflow enable drift.yml", _disabled),
    Fault("never-fired", "last scheduled run", "never fired", _three_days_later),
    Fault("unchecked", "last drift check", "more than 33 days ago", _serving_unchecked),
)
