"""Every job of every workflow against every role: tokens of real runs on one emulator, trust policies on the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from github.Repository import Repository as Api
from local_github.actions.workflow_file import load_yaml

from ml import config
from ml.aws.cloudformation.workflow_roles import ENVIRONMENTS_VARIABLE, ROLES
from ml.commands.bootstrap import bootstrap
from ml.gitops import approvals, promotions, rollbacks
from ml.playground.developer import isolated_environment
from ml.playground.emulators import Emulators
from tests.harness.git import checkout as checkouts
from tests.harness.git.repositories import GitWorkspace
from tests.harness.github.emulator import NAME, Hub
from tests.harness.workflows.environment import snapshot
from tests.harness.workflows.files import WORKFLOWS

ASK = (
    'test -z "$ACTIONS_ID_TOKEN_REQUEST_URL" || curl -sf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" '
    "\"$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com\" | cut -d'\"' -f6 | sed 's/^/token=/'"
)
"""Prints the job's token; nothing for a job that gets none."""
ON_MAIN = {
    ("train.yml", "train"): {"FRAUDOPS_ROLE_TRAIN"},
    ("drift.yml", "check"): {"FRAUDOPS_ROLE_DRIFT"},
    ("deploy.yml", "deploy"): {"FRAUDOPS_ROLE_DEPLOY"},
    ("infra.yml", "apply"): {"FRAUDOPS_ROLE_INFRA"},
    ("infra.yml", "plan"): {"FRAUDOPS_ROLE_PLAN"},
    ("ci.yml", "validate"): {"FRAUDOPS_ROLE_PLAN"},
    ("ci.yml", "plan"): {"FRAUDOPS_ROLE_PLAN"},
    ("deploy-staging.yml", "stage"): set(),  # its own role is of infra/github-staging.yaml
    ("serving-image.yml", "build"): set(),  # its own role is of infra/serving-image.yaml
    ("pages.yml", "build-account"): {"FRAUDOPS_ROLE_DRIFT"},
    ("pages.yml", "publish"): set(),  # its token is for Pages
}
"""The roles that each job may assume on main. A job that is missing here gets no token."""
BOT_BRANCHES = (approvals.PREFIX, rollbacks.PREFIX, promotions.PREFIX, "bot/")
"""What the branches of the bot's pull requests begin with."""
Accepted = dict[tuple[str, str], set[str]]


@dataclass
class Fleet:
    """Both emulators, and a clone of the repository whose jobs only print their token."""

    clouds: Emulators
    workspace: GitWorkspace
    hub: Hub
    api: Api
    seen: set[int] = field(default_factory=set)
    """The runs that were read already."""

    def roles(self, stack: str, **options: Any) -> dict[str, str]:
        """Creates the platform and the roles of a stack, and the repository's variables; returns the roles."""
        checkouts.set_values(self.workspace.root, config.SERVING, {"endpoint": stack})
        with isolated_environment({**self.clouds.environment(), "FRAUDOPS_STACK": stack}):
            values = bootstrap(self.workspace.root, repository=NAME, **options).variables
        repository = self.clouds.github.backend.state.named(NAME)
        repository.variables.update(values)
        return {name: values[name] for name in ROLES.values()}

    def set_ids(self, with_ids: bool) -> None:
        """Lets the subjects of the repository's tokens contain the ids of owner and repository, or not."""
        self.clouds.github.backend.state.named(NAME).settings["use_immutable_subject"] = with_ids

    def tokens(self) -> dict[tuple[str, str], str]:
        """The tokens that the jobs of the runs since the last call have printed, by file and job."""
        self.clouds.actions.wait(120)
        found = {}
        fresh = [run for run in self.clouds.actions.runs(NAME) if run.id not in self.seen]
        self.seen.update(run.id for run in fresh)
        for run in fresh:
            for job in run.jobs:
                match = re.search(r"token=(eyJ\S+)", job.log)
                if match:
                    found[Path(run.file).name, job.key] = match[1]
        return found

    def dispatched(self, branch: str, *names: str) -> dict[tuple[str, str], str]:
        """The tokens of these workflows, of all if none is named, dispatched on a branch."""
        for name in names or WORKFLOWS:
            inputs = (WORKFLOWS[name].on.get("workflow_dispatch") or {}).get("inputs") or {}
            given = {key: "1" for key, each in inputs.items() if each.get("required")}
            assert self.api.get_workflow(name).create_dispatch(branch, given), name
        return self.tokens()

    def push(self, branch: str) -> None:
        """Pushes a branch as a person."""
        login = f"x-access-token:{self.clouds.token}@"
        self.workspace.git("push", "-q", f"{self.clouds.github.url}/{NAME}.git".replace("://", f"://{login}"), branch)

    def accepted(self, tokens: Mapping[tuple[str, str], str], roles: Mapping[str, str]) -> Accepted:
        """The roles that each job's token is accepted for, of all pairs."""
        client = boto3.client(
            "sts", region_name="us-east-1", endpoint_url=self.clouds.aws.url, config=Config(signature_version=UNSIGNED)
        )
        found: Accepted = {}
        for key, token in tokens.items():
            found[key] = set()
            for variable, arn in roles.items():
                try:
                    client.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="pair", WebIdentityToken=token)
                except ClientError as error:
                    assert error.response["Error"]["Code"] == "AccessDenied"
                    continue
                found[key].add(variable)
        return found


def only_tokens(name: str, text: str) -> str:
    """A workflow file whose jobs keep their environment and permissions, and do nothing but print their token.

    Conditions and `needs` are left out: what keeps a job from a role is its token.
    """
    document = load_yaml(text, name)
    jobs = {}
    for identifier, job in document["jobs"].items():
        kept = {key: job[key] for key in ("name", "runs-on", "permissions", "environment") if key in job}
        jobs[identifier] = kept | {"steps": [{"run": ASK}]}
    events = {
        "pull_request": {"branches": ["main"]},
        "workflow_dispatch": document["on"].get("workflow_dispatch") or {},
    }
    return json.dumps({"name": name, "on": events, "permissions": {}, "jobs": jobs})


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The emulators and the repository."""
    folder = tmp_path_factory.mktemp("fleet")
    workspace = snapshot(folder / "clone")
    files = (workspace.root / ".github/workflows").glob("*.yml")
    workspace.write({path: only_tokens(path.name, path.read_text()) for path in files}, "Only print tokens")
    with Emulators(folder / "clouds") as clouds, isolated_environment(clouds.environment()):
        hub = Hub.around(clouds.github, workspace)
        yield Fleet(clouds=clouds, workspace=workspace, hub=hub, api=hub.person())


@pytest.fixture(params=[False, True], ids=["names", "ids"])
def form(fleet: Fleet, request: pytest.FixtureRequest) -> Iterator[bool]:
    """The form of the subject: with names only, or with the ids of repositories created since 2026-07-15."""
    fleet.set_ids(request.param)
    yield request.param
    fleet.set_ids(False)


@pytest.mark.denied_calls("every pair of job and role is tried")
def test_each_job_on_main_may_assume_the_role_of_its_environment_only(fleet: Fleet, form: bool) -> None:
    """Of all pairs of job and role, those of the table; the job of drift.yml gets neither train, infra nor deploy."""
    roles = fleet.roles(f"main-{'ids' if form else 'names'}")
    assert fleet.accepted(fleet.dispatched("main"), roles) == ON_MAIN


@pytest.mark.denied_calls("every pair of job and role is tried")
def test_pull_request_and_bot_branches_get_the_read_only_role_only(fleet: Fleet, form: bool) -> None:
    """A branch that leaves out the environments, which refuse it, gets no role but that of the plan."""
    roles = fleet.roles(f"pull-{'ids' if form else 'names'}")
    without: dict[str | Path, str] = {
        path: re.sub(r'"environment": "[^"]*", ', "", path.read_text())
        for path in (fleet.workspace.root / ".github/workflows").glob("*.yml")
    }
    branch = f"approve/{'0001' if form else '0002'}"
    fleet.workspace.git("switch", "-q", "-c", branch, "main")
    fleet.workspace.write(without, "Leave the environments")
    fleet.push(branch)
    fleet.workspace.git("switch", "-q", "main")
    fleet.api.create_pull(base="main", head=branch, title="t", body="")
    everywhere = {key: {"FRAUDOPS_ROLE_PLAN"} for key in ON_MAIN}
    assert fleet.accepted(fleet.tokens(), roles) == everywhere
    assert fleet.accepted(fleet.dispatched(branch), roles) == everywhere
    # ci.yml is dispatched on every branch that the bot proposes.
    checks = {key: value for key, value in everywhere.items() if key[0] == "ci.yml"}
    for other in (f"{prefix}{fleet.workspace.git('rev-parse', branch)[:8]}-{form}" for prefix in BOT_BRANCHES):
        fleet.workspace.git("branch", other, branch)
        fleet.push(other)
        assert fleet.accepted(fleet.dispatched(other, "ci.yml"), roles) == checks, other


@pytest.mark.denied_calls("every pair of job and role is tried")
def test_roles_of_one_form_refuse_the_other(fleet: Fleet) -> None:
    """A repository that takes over the name has other ids; one that still emits names is not trusted by its ids."""
    by_name = fleet.roles("form-names")
    fleet.set_ids(True)
    try:
        by_ids, with_ids = fleet.roles("form-ids"), fleet.dispatched("main")
    finally:
        fleet.set_ids(False)
    with_names = fleet.dispatched("main")
    assert fleet.accepted(with_ids, by_ids) == fleet.accepted(with_names, by_name) == ON_MAIN
    nothing: Accepted = {key: set() for key in ON_MAIN}
    assert fleet.accepted(with_ids, by_name) == fleet.accepted(with_names, by_ids) == nothing


@pytest.mark.denied_calls("the job that publishes to Pages gets no role")
def test_without_environments_every_job_on_main_may_assume_every_role(fleet: Fleet) -> None:
    """What `bootstrap --without-environments` warns about; only the job of GitHub's own environment gets none."""
    roles = fleet.roles("no-environments", without_environments=True)
    repository = fleet.clouds.github.backend.state.named(NAME)
    try:
        assert repository.variables[ENVIRONMENTS_VARIABLE] == "false"
        expected = {key: set(ROLES.values()) for key in ON_MAIN} | {("pages.yml", "publish"): set()}
        assert fleet.accepted(fleet.dispatched("main"), roles) == expected
    finally:
        repository.variables.pop(ENVIRONMENTS_VARIABLE)
