"""ci-status.yml, run by act: the App's status for a real pull request, and what a branch gains by forging it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from github import GithubException
from github.PullRequest import PullRequest
from local_github.domain.records import Repository

from ml.gitops import environments, github_apps, main_rules
from tests.harness.github.emulator import NAME
from tests.harness.workflows.environment import WorkflowEnvironment, passed, started

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
APP = 4711
CI = Path(".github/workflows/ci.yml")
FORGER = """name: forger
on: {pull_request: {branches: [main]}}
permissions: {}
jobs:
  forge:
    runs-on: ubuntu-latest
    permissions: {statuses: write}
    steps:
      - env:
          TOKEN: ${{ github.token }}
          SHA: ${{ github.event.pull_request.head.sha }}
        run: >-
          curl -sf -X POST -H "Authorization: Bearer $TOKEN" "$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/statuses/$SHA"
          -d '{"state": "success", "context": "fraudops/ci"}'
"""
THIEF = """name: thief
on: {pull_request: {branches: [main]}, push: {branches: ['**']}}
permissions: {}
jobs:
  inside:
    runs-on: ubuntu-latest
    environment: ci-status
    steps: [{run: "printf %s '${{ secrets.FRAUDOPS_STATUS_APP_PRIVATE_KEY }}' | rev"}]
  outside:
    runs-on: ubuntu-latest
    steps: [{run: "echo key=$(printf %s '${{ secrets.FRAUDOPS_STATUS_APP_PRIVATE_KEY }}' | rev)"}]
"""
"""Prints the key in reverse, because logs mask it."""
KEY = "the-private-key"


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkflowEnvironment]:
    """The repository with the App and the rules of main that bootstrap sets, without a platform in AWS."""
    with started(tmp_path_factory.mktemp("ci-status")) as running:
        repository = record(running)
        repository.variables.update({"FRAUDOPS_SUITE": "off", github_apps.STATUS_APP: str(APP)})
        running.clouds.actions.install_app(str(APP), slug="checker", private_key=KEY)
        admin = running.bot.hub.client(running.clouds.github.token("alice"))
        environments.ensure(admin, [environments.CI_STATUS])
        repository.environments[environments.CI_STATUS].secrets[github_apps.STATUS_KEY] = KEY
        main_rules.ensure(admin, status_app=APP, bypass_app=None)
        yield running


def record(env: WorkflowEnvironment) -> Repository:
    """The repository's record in the emulator."""
    return env.clouds.github.backend.state.named(NAME)


def posted(env: WorkflowEnvironment, sha: str) -> list[tuple[str, str]]:
    """Each fraudops/ci of a commit, newest first: who posted it, and its state."""
    statuses = env.bot.api.get_commit(sha).get_statuses()
    return [(each.creator.login, each.state) for each in statuses if each.context == "fraudops/ci"]


def approve(env: WorkflowEnvironment, pull: PullRequest) -> None:
    """A colleague approves the pull request's head commit."""
    env.bot.hub.person("bob").get_pull(pull.number).create_review(event="APPROVE")


def test_apps_status_lets_a_reviewed_pull_request_merge(env: WorkflowEnvironment) -> None:
    """ci.yml posts nothing itself; ci-status.yml reads its run again and posts as the App."""
    pull = env.propose("notes", {"NOTES.md": "x\n"}, "Add notes")
    runs = {Path(run.file).name: run for run in env.runs()}
    assert runs["ci-status.yml"].ref == "refs/heads/main"
    assert passed(runs["ci-status.yml"]) == {"Post commit status"}
    assert posted(env, pull.head.sha) == [("checker[bot]", "success")]
    with pytest.raises(GithubException, match="approving review is required"):
        pull.merge()
    approve(env, pull)
    assert pull.merge().merged
    env.runs()


def test_branch_cannot_forge_the_status(env: WorkflowEnvironment) -> None:
    """It posts fraudops/ci itself and makes every job of ci.yml do nothing, also on pushes; nothing lets it merge."""
    jobs = {
        identifier: {"name": name, "runs-on": "ubuntu-latest", "steps": [{"run": "true"}]}
        for identifier, name in (
            ("changes", "Detect changes"),
            ("validate", "Validate model-config"),
            ("plan", "Plan"),
            ("suite", "Tests"),
            ("packages", "Packages on their own"),
            ("templates", "CloudFormation templates"),
            ("audit", "Workflows"),
            ("dependencies", "Dependencies and secrets"),
            ("required-checks", "Required checks"),
        )
    }
    on = {"pull_request": {"branches": ["main"]}, "push": None}
    forged = json.dumps({"name": "ci", "on": on, "permissions": {}, "jobs": jobs})
    files: dict[str | Path, str] = {CI: forged, ".github/workflows/forger.yml": FORGER}
    pull = env.propose("forge", files, "Tidy up")
    runs = env.runs()
    ci = {run.event: run for run in runs if run.file == str(CI)}["pull_request"]
    assert set(ci.results.values()) == {"success"}
    assert {run.conclusion for run in runs} == {"success"}, [run.log for run in runs if run.conclusion != "success"]
    assert sorted(posted(env, pull.head.sha)) == [("checker[bot]", "pending"), ("github-actions[bot]", "success")]
    with pytest.raises(GithubException, match=r"fraudops/ci.* is expected"):
        pull.merge()
    approve(env, pull)
    with pytest.raises(GithubException, match=r"fraudops/ci.* is expected"):
        pull.merge()
    (pushed,) = [run for run in runs if run.file == str(CI) and run.event == "push"]
    env.dispatch("ci-status.yml", run=str(pushed.id))
    (again,) = env.runs()
    assert "is of the event push" in again.log
    assert posted(env, pull.head.sha)[0] == ("checker[bot]", "pending")
    env.dispatch("ci-status.yml", run=str(ci.id))
    (again,) = env.runs()
    assert passed(again) == {"Post commit status"}
    assert posted(env, pull.head.sha)[0] == ("checker[bot]", "success")  # a colleague has approved these workflows


def test_workflow_of_another_file_with_the_name_ci_proves_nothing(env: WorkflowEnvironment) -> None:
    """It starts ci-status.yml as well, which refuses its run."""
    text = FORGER.replace("name: forger", "name: ci")
    pull = env.propose("second", {".github/workflows/second.yml": text}, "Add a workflow")
    refused = [run for run in env.runs() if run.file.endswith("ci-status.yml") and run.conclusion == "failure"]
    assert len(refused) == 1
    assert "is one of .github/workflows/second.yml" in refused[0].log
    assert ("checker[bot]", "success") not in posted(env, pull.head.sha)


def test_branch_cannot_read_the_key(env: WorkflowEnvironment) -> None:
    """A job that names the environment is refused, on push and on its pull request; one that does not gets nothing."""
    env.propose("thief", {".github/workflows/thief.yml": THIEF}, "Look for a key")
    runs = [run for run in env.runs() if run.file.endswith("thief.yml")]
    assert sorted(run.event for run in runs) == ["pull_request", "push"]
    for run in runs:
        assert run.results == {"inside": "failure", "outside": "success"}
        (refused,) = run.job("inside").annotations
        assert "is not allowed to deploy to ci-status due to environment protection rules" in refused.message
        assert "key=" in run.job("outside").log
        assert KEY[::-1] not in run.log
