"""The real deploy.yml and ci.yml on both local clouds, with packages registered untrained: merges and ways back."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.commands.propose import Proposed, propose
from ml.errors import FraudopsError
from tests.commands.served_world import ENDPOINT
from tests.gitops.local_hub import WORKFLOW
from tests.workflows import workflow_world
from tests.workflows.workflow_world import World, failed, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
DEPLOY = "Deploy"
CHECKED = {"Detect changes", "Validate model-config", "Plan", "Required checks"}


def proposed(world: World, arn: str) -> Proposed:
    """What train.yml's next step does with a package, as the bot."""
    result = propose(world.forge.root, outcome=world.forge.outcome(arn))
    assert result.pull_request is not None
    return result


def test_merges_deploy_and_whatever_fails_or_is_stale_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models serve; a broken one does not, and is rolled back; an approval of yesterday, a revert by button and a
    tampered record do not get through."""
    with workflow_world.started(tmp_path) as world:
        workflow_world.equip(world)
        forge, served = world.forge, world.forge.world
        monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "false")

        # A wrong token is told as that, and leaves nothing.
        arn = forge.register(-1.0)
        monkeypatch.setenv("GITHUB_TOKEN", "ghs_wrong")
        with pytest.raises(FraudopsError, match="GITHUB_TOKEN must be set, valid"):
            propose(forge.root, outcome=forge.outcome(arn))
        assert list(forge.api.get_pulls(state="all")) == []
        monkeypatch.setenv("GITHUB_TOKEN", forge.hub.token)

        # Two approvals, merged and deployed. The bot's own pushes fire nothing: its checks are dispatched.
        versions = []
        for number, intercept in enumerate((-1.0, 2.0), start=1):
            result = proposed(world, arn if number == 1 else forge.register(intercept))
            fired = world.fired()
            assert {name: run.event for name, run in fired.items()} == {"ci.yml": "workflow_dispatch"}
            assert passed(fired["ci.yml"]) == CHECKED
            pull = forge.api.get_pull(result.pull_request or 0)
            assert (pull.user.login, world.checks(pull.head.sha)) == (WORKFLOW, {"fraudops/ci": "success"})
            world.switch("ci.yml", on=number == 1)  # the same once more would only take time
            world.forge.merge(pull.number)
            fired = world.fired()
            assert set(fired) == ({"ci.yml", "deploy.yml"} if number == 1 else {"deploy.yml"})
            assert {run.event for run in fired.values()} == {"push"}
            world.switch("ci.yml", on=True)
            assert passed(fired["deploy.yml"]) == {DEPLOY}
            assert f"{number:04d}" in fired["deploy.yml"].summary
            versions.append(served.answers()["model_version"])
            (deployment,) = [d for d in forge.api.get_deployments() if d.sha == fired["deploy.yml"].sha]
            assert (deployment.environment, deployment.get_statuses()[0].state) == (ENDPOINT, "success")
        assert versions == ["0001", "0002"]
        assert served.statuses() == {1: "Rejected", 2: "Approved"}

        # A model that does not load: the former one serves on, the run fails, and the way back is proposed.
        monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "true")  # as an App's: nothing is dispatched
        result = proposed(world, forge.register(3.0, broken_code=True))
        assert world.runs() == []
        world.forge.merge(result.pull_request or 0)
        runs = {(Path(run.file).name, run.event): run for run in world.runs()}
        assert failed(runs["deploy.yml", "push"]) == {DEPLOY}
        assert "0003" in runs["deploy.yml", "push"].summary
        assert served.answers()["model_version"] == "0002"
        (back,) = forge.api.get_pulls()
        assert (back.head.ref, back.user.login) == ("rollback/0002", WORKFLOW)
        assert "The deployment of approval 0003 failed" in back.body
        assert world.checks(back.head.sha) == {"fraudops/ci": "success"}

        # Somebody trains against the broken one meanwhile; the way back is merged; that comparison is of yesterday.
        stale = forge.api.get_pull(proposed(world, forge.register(4.0)).pull_request or 0)
        for name in ("ci.yml", "deploy.yml"):
            world.switch(name, on=False)
        world.forge.merge(back.number)
        assert world.runs() == []
        world.switch("ci.yml", on=True)
        assert forge.api.get_workflow("ci.yml").create_dispatch(stale.head.ref, {"pull_request": str(stale.number)})
        check = world.fired()["ci.yml"]
        assert failed(check) == {"Validate model-config", "Required checks"}
        assert "is superseded: its model was compared with approval 0003, and main serves approval 0002" in check.log
        assert world.checks(stale.head.sha) == {"fraudops/ci": "failure"}
        world.switch("deploy.yml", on=True)
        world.dispatch("deploy.yml", reason="$(touch pwned); `touch pwned`")
        assert passed(world.fired()["deploy.yml"]) == {DEPLOY}
        assert served.answers()["model_version"] == "0002"
        assert not list(tmp_path.rglob("pwned"))
        stale.update()
        assert stale.state == "closed"
        assert any("compared with approval 0003" in comment.body for comment in stale.get_issue_comments())

        # GitHub's Revert button takes back the whole merge, the record with it: it is caught, and told what to do.
        git = world.workshop.git
        merge = git("log", "--merges", "--format=%H", "--grep", "#2", "-1")
        git("switch", "-q", "-c", "revert-2-approve/0002", "main")
        git("revert", "-m", "1", "--no-edit", merge)
        world.publish("revert-2-approve/0002")
        revert = forge.api.create_pull(base="main", head="revert-2-approve/0002", title="Revert", body="Reverts #2")
        check = world.fired()["ci.yml"]
        assert failed(check) == {"Validate model-config", "Required checks"}
        assert "as GitHub's Revert button does it; a record is kept for ever" in check.log
        assert "`fraudops rollback --to 1 --propose`" in check.log
        assert world.checks(revert.head.sha) == {"fraudops/ci": "failure"}

        # A person edits a record to let another archive pass: checks say so, and deploy refuses it even when merged.
        path = config.approval_path(2)
        sha256 = config.load_approval(forge.root, 2).artifact.sha256
        text = world.workshop.text(path).replace(sha256, "0" * 64)
        tampered = world.propose("tampered", {path: text}, "Correct a digest")
        check = world.fired()["ci.yml"]
        assert failed(check) == {"Validate model-config", "Required checks"}
        assert "is edited, and model-config/approvals/ is append only" in check.log
        world.switch("ci.yml", on=False)
        world.forge.merge(tampered.number)
        assert world.runs() == []
        before = served.endpoint()
        world.dispatch("deploy.yml", reason="try it")
        assert failed(world.fired()["deploy.yml"]) == {DEPLOY}
        assert served.endpoint() == before
        assert served.answers()["model_version"] == "0002"
