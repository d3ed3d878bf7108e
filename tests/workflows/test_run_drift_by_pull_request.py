"""drift.yml and train.yml where no App bypasses main's rules: requests and gate failures come as pull requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from github import GithubException
from github.PullRequest import PullRequest

from ml import config
from ml.aws import platform_stack
from ml.commands.bootstrap import Protection, bootstrap
from ml.gitops.environments import CI_STATUS
from ml.gitops.github_apps import STATUS_APP, STATUS_KEY
from ml.records import retrain_requests
from tests.harness.github.emulator import NAME, WORKFLOW
from tests.harness.platform import monitored, served
from tests.harness.platform.monitored import MonitoredEndpoint
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment, failed, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
APP, KEY = 4711, "key"
REQUEST = "20260501T000000Z-data-drift"
CHECK, ASK = "Check traffic and labels for drift", "Request a retrain"
TRAIN, RECORD = "Train, evaluate, propose", "Record the gate failure"


def protect(env: WorkflowEnvironment) -> None:
    """The settings of bootstrap with a status App, and without one that may push to main."""
    env.clouds.actions.install_app(str(APP), slug="checker", private_key=KEY)
    record = env.clouds.github.state.named(NAME)
    record.variables[STATUS_APP] = str(APP)
    env.clouds.github.token("bob")  # a user exists once there is a token
    record.environments[CI_STATUS].secrets[STATUS_KEY] = KEY
    bootstrap(env.bot.root, repository=NAME, configure=True, protect=Protection(reviewers=("bob",), status_app=APP))


def merge_reviewed(env: WorkflowEnvironment, pull: PullRequest) -> None:
    """Merges a pull request of the bot, which the rules refuse before a second person has approved it."""
    assert pull.user.login == WORKFLOW
    assert env.checks(pull.head.sha) == {"fraudops/ci": "success"}
    with pytest.raises(GithubException, match="approving review is required"):
        pull.merge()
    env.bot.hub.person("bob").get_pull(pull.number).create_review(event="APPROVE")
    env.bot.merge(pull.number)


def open_requests(env: WorkflowEnvironment) -> list[str]:
    """The request if no record on main resolves it."""
    return retrain_requests.resolutions(retrain_requests.WorkTree(env.bot.root)).open([REQUEST])


def test_request_and_gate_failure_reach_main_by_reviewed_pull_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merging the request starts its training, and merging the gate failure closes the request."""
    monkeypatch.setattr(served, "archive", lambda _, provenance, **__: monitored.archive(provenance=provenance))
    with environment.started(tmp_path) as env:
        environment.equip(env)
        watched = MonitoredEndpoint(
            bot=env.bot, monkeypatch=monkeypatch, folder=tmp_path, bucket=platform_stack.read().bucket
        )
        watched.at("2026-01-31T12:00:00Z")
        for file in ("ci.yml", "deploy.yml", "train.yml"):
            env.switch(file, on=False)
        data = env.workspace.text(config.DATA)
        gate = config.set_values(env.workspace.text(config.GATE), config.GATE, {"min_recall": 0.9999})
        env.push({config.DATA: monitored.with_four_inputs(data), config.GATE: gate}, "Train on four inputs")
        env.bot.env.approve(env.bot.register(0.0))
        env.bot.push()
        protect(env)
        for file in ("ci.yml", "train.yml"):
            env.switch(file, on=True)
        for month in (2, 3, 4):
            watched.month(month, shift=0.6 if month > 2 else 0.0)
        for moment in ("2026-04-01T05:17:00Z", "2026-05-01T05:17:00Z"):
            watched.at(moment)
            env.dispatch("drift.yml")
            fired = env.fired()
            assert passed(fired["drift.yml"]) == ({CHECK, ASK} if moment.startswith("2026-05") else {CHECK})

        # The check of April proposes the request. It trains nothing yet, and its checks ran as those of the App.
        assert set(fired) == {"drift.yml", "ci.yml", "ci-status.yml"}
        assert watched.requests() == []
        (pull,) = env.bot.api.get_pulls()
        assert [file.filename for file in pull.get_files()] == [f"{config.REQUESTS}/{REQUEST}.yaml"]
        merge_reviewed(env, pull)
        assert watched.requests() == [REQUEST]

        # The merge is a person's push, so it starts the training. Its model fails the gate.
        (training,) = [run for run in env.runs() if Path(run.file).name == "train.yml"]
        assert training.event == "push"
        assert (failed(training), training.results[RECORD]) == ({TRAIN}, "success")
        (record,) = env.bot.api.get_pulls()
        assert record.head.ref.startswith("bot/gate-failure-")
        assert open_requests(env) == [REQUEST]
        merge_reviewed(env, record)
        assert open_requests(env) == []
        assert set(env.fired()) == {"ci.yml", "ci-status.yml"}
