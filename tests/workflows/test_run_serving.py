"""The real deploy.yml and ci.yml on both emulators, with packages registered untrained: merges and rollbacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.commands.propose import Proposed, propose
from ml.errors import FraudopsError
from tests.harness.github.emulator import WORKFLOW
from tests.harness.platform.served import ENDPOINT
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment, failed, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
DEPLOY = "Deploy"
CHECKED = {"Detect changes", "Validate model-config", "Plan", "Required checks"}


def proposed(env: WorkflowEnvironment, arn: str) -> Proposed:
    """Proposes a package as the bot, as train.yml does."""
    result = propose(env.bot.root, outcome=env.bot.outcome(arn))
    assert result.pull_request is not None
    return result


@pytest.mark.denied_calls("packages are proposed by the administrator here, and only the role of train.yml may sign")
def test_merges_deploy_and_invalid_changes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models are deployed and a broken one is rolled back; an outdated approval, a revert of a whole merge and an
    edited record are refused.
    """
    with environment.started(tmp_path) as env:
        environment.equip(env)
        bot, served = env.bot, env.bot.env
        monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "false")

        # A wrong token is an error that names the variable, and nothing is created.
        arn = bot.register(-1.0)
        monkeypatch.setenv("GITHUB_TOKEN", "ghs_wrong")
        with pytest.raises(FraudopsError, match="GITHUB_TOKEN must be set, valid"):
            propose(bot.root, outcome=bot.outcome(arn))
        assert list(bot.api.get_pulls(state="all")) == []
        monkeypatch.setenv("GITHUB_TOKEN", bot.hub.token)

        # Two approvals are merged and deployed. The bot's own pushes start nothing, so its checks are dispatched.
        versions = []
        for number, intercept in enumerate((-1.0, 2.0), start=1):
            result = proposed(env, arn if number == 1 else bot.register(intercept))
            fired = env.fired()
            assert {name: run.event for name, run in fired.items()} == {"ci.yml": "workflow_dispatch"}
            assert passed(fired["ci.yml"]) == CHECKED
            pull = bot.api.get_pull(result.pull_request or 0)
            assert (pull.user.login, env.checks(pull.head.sha)) == (WORKFLOW, {"fraudops/ci": "success"})
            env.switch("ci.yml", on=number == 1)  # not repeated, to save time
            env.bot.merge(pull.number)
            fired = env.fired()
            assert set(fired) == ({"ci.yml", "deploy.yml"} if number == 1 else {"deploy.yml"})
            assert {run.event for run in fired.values()} == {"push"}
            env.switch("ci.yml", on=True)
            assert passed(fired["deploy.yml"]) == {DEPLOY}
            assert f"{number:04d}" in fired["deploy.yml"].summary
            versions.append(served.answers()["model_version"])
            (deployment,) = [d for d in bot.api.get_deployments() if d.sha == fired["deploy.yml"].sha]
            assert (deployment.environment, deployment.get_statuses()[0].state) == (ENDPOINT, "success")
        assert versions == ["0001", "0002"]
        assert served.statuses() == {1: "Rejected", 2: "Approved"}

        # A model that does not load: the former one keeps serving, the run fails, and a rollback is proposed.
        monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "true")  # as with an App's token: nothing is dispatched
        result = proposed(env, bot.register(3.0, broken_code=True))
        assert env.runs() == []
        env.bot.merge(result.pull_request or 0)
        runs = {(Path(run.file).name, run.event): run for run in env.runs()}
        assert failed(runs["deploy.yml", "push"]) == {DEPLOY}
        assert "0003" in runs["deploy.yml", "push"].summary
        assert served.answers()["model_version"] == "0002"
        (back,) = bot.api.get_pulls()
        assert (back.head.ref, back.user.login) == ("rollback/0002", WORKFLOW)
        assert "The deployment of approval 0003 failed" in back.body
        assert env.checks(back.head.sha) == {"fraudops/ci": "success"}

        # A model is compared with the broken one before the rollback is merged: its approval is out of date.
        stale = bot.api.get_pull(proposed(env, bot.register(4.0)).pull_request or 0)
        for name in ("ci.yml", "deploy.yml"):
            env.switch(name, on=False)
        env.bot.merge(back.number)
        assert env.runs() == []
        env.switch("ci.yml", on=True)
        assert bot.api.get_workflow("ci.yml").create_dispatch(stale.head.ref, {"pull_request": str(stale.number)})
        check = env.fired()["ci.yml"]
        assert failed(check) == {"Validate model-config", "Required checks"}
        assert "is superseded: its model was compared with approval 0003, and main serves approval 0002" in check.log
        assert env.checks(stale.head.sha) == {"fraudops/ci": "failure"}
        env.switch("deploy.yml", on=True)
        env.dispatch("deploy.yml", reason="$(touch pwned); `touch pwned`")
        assert passed(env.fired()["deploy.yml"]) == {DEPLOY}
        assert served.answers()["model_version"] == "0002"
        assert not list(tmp_path.rglob("pwned"))
        stale.update()
        assert stale.state == "closed"
        assert any("compared with approval 0003" in comment.body for comment in stale.get_issue_comments())

        # GitHub's Revert button reverts the record too: the checks fail and name the rollback command.
        git = env.workspace.git
        merge = git("log", "--merges", "--format=%H", "--grep", "#2", "-1")
        git("switch", "-q", "-c", "revert-2-approve/0002", "main")
        git("revert", "-m", "1", "--no-edit", merge)
        env.publish("revert-2-approve/0002")
        revert = bot.api.create_pull(base="main", head="revert-2-approve/0002", title="Revert", body="Reverts #2")
        check = env.fired()["ci.yml"]
        assert failed(check) == {"Validate model-config", "Required checks"}
        assert "as GitHub's Revert button does; records are never deleted" in check.log
        assert "`fraudops rollback --to 1 --propose`" in check.log
        assert env.checks(revert.head.sha) == {"fraudops/ci": "failure"}

        # A person edits the digest in a record: the checks fail, and deploy refuses it even after a merge.
        path = config.approval_path(2)
        sha256 = config.load_approval(bot.root, 2).artifact.sha256
        text = env.workspace.text(path).replace(sha256, "0" * 64)
        tampered = env.propose("tampered", {path: text}, "Correct a digest")
        check = env.fired()["ci.yml"]
        assert failed(check) == {"Validate model-config", "Required checks"}
        assert "is edited, and model-config/approvals/ is append-only" in check.log
        env.switch("ci.yml", on=False)
        env.bot.merge(tampered.number)
        assert env.runs() == []
        before = served.endpoint()
        env.dispatch("deploy.yml", reason="try it")
        assert failed(env.fired()["deploy.yml"]) == {DEPLOY}
        assert served.endpoint() == before
        assert served.answers()["model_version"] == "0002"
