"""The real deploy-staging.yml on both emulators: an approval goes to staging, and its promotion to production."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.aws import platform_stack
from ml.aws.cloudformation import staging_role
from ml.commands.bootstrap import bootstrap
from ml.commands.propose import propose
from tests.harness.github.emulator import WORKFLOW
from tests.harness.workflows import environment
from tests.harness.workflows.environment import passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
STAGED = "fraudops-staging"


def add_staging(root: Path) -> None:
    """A stage before production, with an endpoint of its own."""
    text = (root / config.SERVING).read_text("utf-8").replace("fraudops-production", STAGED)
    (root / config.STAGING).write_text(text, encoding="utf-8")


@pytest.mark.denied_calls("packages are proposed by the administrator here, and only the role of train.yml may sign")
def test_approval_is_staged_promoted_and_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three merges of people and three workflows; the checks of the promotion get their role on its branch."""
    with environment.started(tmp_path, set_state=add_staging) as env:
        environment.equip(env)
        bot = env.bot
        with monkeypatch.context() as patch:
            patch.setenv("FRAUDOPS_STACK", platform_stack.staging_stack_name())
            made = bootstrap(bot.root, staging=True, repository=bot.hub.name, configure=True)
        assert set(made.configured) == {staging_role.VARIABLE}
        monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "true")  # as with an App's token: nothing is dispatched
        approval = propose(bot.root, outcome=bot.outcome(bot.register(-1.0)))
        assert env.runs()  # the checks of its pull request
        bot.merge(approval.pull_request or 0)
        runs = {(Path(run.file).name, run.event): run for run in env.runs()}
        assert set(runs) == {
            ("deploy-staging.yml", "push"),
            ("ci.yml", "push"),
            ("ci.yml", "workflow_dispatch"),
        }
        staged, checked = runs["deploy-staging.yml", "push"], runs["ci.yml", "workflow_dispatch"]
        assert passed(staged) == {"Deploy staging, compare, propose"}
        assert "production needs no comparison" in staged.summary
        (pull,) = bot.api.get_pulls()
        assert (pull.head.ref, pull.user.login) == ("promote/0001", WORKFLOW)
        assert "Validate model-config" in passed(checked)  # with the read-only role, on the promotion's branch
        assert env.checks(pull.head.sha) == {"fraudops/ci": "success"}

        env.switch("ci.yml", on=False)
        bot.merge(pull.number)
        deployed = env.fired()
        assert set(deployed) == {"deploy.yml"}
        assert passed(deployed["deploy.yml"]) == {"Deploy"}
        assert bot.env.answers()["model_version"] == "0001"

        # Production serves it: a run that only compares finds nothing to do, and does not fail.
        env.dispatch("deploy-staging.yml", deploy="false")
        idle = env.fired()["deploy-staging.yml"]
        assert passed(idle) == {"Deploy staging, compare, propose"}
        assert "already the one that production serves" in idle.summary
