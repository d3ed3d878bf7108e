"""ci.yml and ci-status.yml in a merge queue of main, run by act: what posts fraudops/ci on the commits of the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from github.PullRequest import PullRequest
from local_github.actions.run_records import Run

from ml import config
from ml.gitops import main_rules
from tests.harness.github.emulator import NAME
from tests.harness.workflows.environment import WorkflowEnvironment, passed, started

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
APP = 4711
ALWAYS = {"Detect changes", "Validate model-config", "Required checks"}
ON_CODE = {"CloudFormation templates", "Workflows"}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkflowEnvironment]:
    """The repository with the rules of main that bootstrap sets, and a merge queue; without a platform in AWS."""
    with started(tmp_path_factory.mktemp("queue")) as running:
        main_rules.ensure(
            running.bot.hub.client(running.clouds.github.token("alice")), status_app=None, bypass_app=None
        )
        ruleset = {
            "name": "queue",
            "target": "branch",
            "enforcement": "active",
            "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
            "rules": [{"type": "merge_queue", "parameters": {"merge_method": "MERGE"}}],
        }
        api = running.bot.hub.person("alice")
        api.requester.requestJsonAndCheck("POST", f"{api.url}/rulesets", input=ruleset)
        running.switch("train.yml", on=False)
        yield running


@pytest.fixture
def status_app(env: WorkflowEnvironment) -> Iterator[None]:
    """An App that posts the status, for one test: the other one of this file needs a repository without it."""
    record = env.clouds.github.backend.state.named(NAME)
    administrator = env.bot.hub.client(env.clouds.github.token("alice"))
    api = env.bot.hub.person("alice")
    _, listed = api.requester.requestJsonAndCheck("GET", f"{api.url}/rulesets")
    address = next(f"{api.url}/rulesets/{each['id']}" for each in listed if each["name"] == main_rules.NAME)
    _, before = api.requester.requestJsonAndCheck("GET", address)
    record.variables["FRAUDOPS_STATUS_APP_CLIENT_ID"] = str(APP)
    record.secrets["FRAUDOPS_STATUS_APP_PRIVATE_KEY"] = "key"
    env.clouds.actions.install_app(str(APP), slug="checker", private_key="key")
    try:
        main_rules.ensure(administrator, status_app=APP, bypass_app=None)
        yield
    finally:
        api.requester.requestJsonAndCheck("PUT", address, input={"rules": before["rules"]})
        del record.variables["FRAUDOPS_STATUS_APP_CLIENT_ID"], record.secrets["FRAUDOPS_STATUS_APP_PRIVATE_KEY"]


def propose(env: WorkflowEnvironment, branch: str, files: dict[str | Path, str]) -> PullRequest:
    """Opens a pull request, waits for its checks, and approves it."""
    pull = env.propose(branch, files, branch.title())
    env.runs()
    env.bot.hub.person("bob").get_pull(pull.number).create_review(event="APPROVE")
    return pull


def enqueue(env: WorkflowEnvironment, pull: PullRequest) -> None:
    """Adds a pull request to the queue of main."""
    requester = env.bot.hub.person("alice").requester
    requester.graphql_named_mutation(
        "enqueuePullRequest", {"pullRequestId": pull.raw_data["node_id"]}, "mergeQueueEntry { id }"
    )


def groups(runs: list[Run]) -> list[Run]:
    """The runs of ci.yml for merge groups, oldest first."""
    return [run for run in runs if run.event == "merge_group"]


def posters(env: WorkflowEnvironment, sha: str) -> set[tuple[str, str]]:
    """Who posted fraudops/ci on a commit, and its state."""
    statuses = env.bot.api.get_commit(sha).get_statuses()
    return {(each.creator.login, each.state) for each in statuses if each.context == "fraudops/ci"}


def test_ci_posts_the_status_that_the_queue_waits_for(env: WorkflowEnvironment) -> None:
    """The group's commit is checked without a plan, gets fraudops/ci, and becomes main."""
    pull = propose(env, "notes", {"NOTES.md": "x\n"})
    enqueue(env, pull)
    runs = env.runs()
    (group,) = groups(runs)
    assert (Path(group.file).name, passed(group)) == ("ci.yml", ALWAYS | ON_CODE)
    assert posters(env, group.sha) == {("github-actions[bot]", "success")}
    merged = env.bot.api.get_pull(pull.number)
    assert (merged.merged, merged.merge_commit_sha) == (True, group.sha)
    assert env.bot.api.get_branch("main").commit.sha == group.sha
    assert [(run.event, run.sha) for run in runs if run.ref == "refs/heads/main" and "ci.yml" in run.file] == [
        ("push", group.sha)
    ]


@pytest.mark.usefixtures("status_app")
def test_app_posts_the_status_of_each_group(env: WorkflowEnvironment) -> None:
    """ci-status.yml compares a group with the one that it is stacked on: settings need no jobs for code."""
    code = propose(env, "code", {"README.md": "# Other\n"})
    settings = propose(env, "settings", {config.GATE: env.workspace.text(config.GATE) + "# more\n"})
    enqueue(env, code)
    enqueue(env, settings)
    runs = env.runs()
    first, second = groups(runs)
    assert (passed(first), passed(second)) == (ALWAYS | ON_CODE, ALWAYS)
    assert second.payload["merge_group"]["base_sha"] == first.sha
    for group, pull in ((first, code), (second, settings)):
        assert posters(env, group.sha) == {("checker[bot]", "success")}
        assert env.bot.api.get_pull(pull.number).merge_commit_sha == group.sha
    assert env.bot.api.get_branch("main").commit.sha == second.sha
