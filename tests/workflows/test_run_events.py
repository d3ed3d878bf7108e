"""The workflow files without infrastructure: which events start which files, and a pull request from a fork."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml import config
from tests.harness.github.emulator import NAME
from tests.harness.workflows import environment
from tests.harness.workflows.environment import failed, is_idle, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
CI = {"Detect changes", "Validate model-config", "Required checks"}
ON_CODE = {"CloudFormation templates", "Workflows"}
FORK = "mallory/fraudops"


def test_events_without_infrastructure(tmp_path: Path) -> None:
    """Without infrastructure each workflow reports the command to run; a fork's pull request gets no role."""
    with environment.started(tmp_path) as env:
        person = env.bot.api

        # The first push of a repository made from the template starts ci.yml alone: a path filter reads 300 files of
        # a push, and those of infra/ and model-config/ come later.
        git = env.workspace.git
        address = f"{env.clouds.github.url}/acme/fresh"
        env.clouds.github.create_repository("acme/fresh")
        git("-c", f"http.extraheader={env.header('alice')}", "push", "-q", address, "main")
        env.clouds.actions.wait(environment.RUN_SECONDS)
        fresh = env.clouds.actions.runs("acme/fresh")
        first = {Path(run.file).name: run for run in fresh if not is_idle(run)}
        assert set(first) == {"ci.yml"}
        assert passed(first["ci.yml"]) == CI | ON_CODE

        # A change of what each workflow listens to starts it.
        touched = (config.GATE, config.SERVING, Path("infra/platform.yaml"))
        env.workspace.write({path: env.workspace.text(path) + "# more\n" for path in touched}, "Touch everything")
        git("-c", f"http.extraheader={env.header('alice')}", "push", "-q", address, "main")
        git("reset", "-q", "--hard", "HEAD~1")
        env.clouds.actions.wait(environment.RUN_SECONDS)
        later = [run for run in env.clouds.actions.runs("acme/fresh") if run not in fresh and not is_idle(run)]
        first = {Path(run.file).name: run for run in later}
        assert set(first) == {"ci.yml", "train.yml", "deploy.yml", "infra.yml"}
        for name in ("train.yml", "deploy.yml", "infra.yml"):
            assert passed(first[name]) == {"Report why nothing ran"}
            assert "`fraudops bootstrap`" in first[name].summary
            (notice,) = first[name].job("not-run").annotations
            assert (notice.level, notice.title) == ("notice", "Not run")

        # Tags and branches start nothing; a push with an unknown token is refused.
        git("tag", "v1")
        git("branch", "topic")
        git("-c", f"http.extraheader={env.header('alice')}", "push", "-q", "origin", "v1", "topic")
        env.workspace.write({config.GATE: env.workspace.text(config.GATE) + "# loose\n"}, "Not for anyone")
        with pytest.raises(subprocess.CalledProcessError) as refused:
            git("-c", "http.extraheader=Authorization: basic bm9ib2R5OndpdGg=", "push", "-q", "origin", "main")
        assert "could not read Username" in refused.value.stderr
        git("reset", "-q", "--hard", "HEAD~1")
        assert env.runs() == []

        # A dispatch of train.yml or deploy.yml on another branch does nothing and says why.
        for name in ("train.yml", "deploy.yml"):
            assert person.get_workflow(name).create_dispatch("topic", {"reason": "Try it"})
            run = env.fired()[name]
            assert passed(run) == {"Report why nothing ran"}
            assert "this runs on main only" in run.summary

        # A fork's change of the gate and the infrastructure is validated and planned, without a role or a token.
        for role in ("TRAIN", "DEPLOY", "INFRA", "PLAN", "DRIFT"):
            person.create_variable(f"FRAUDOPS_ROLE_{role}", f"arn:aws:iam::123456789012:role/{role.lower()}")
        from github import Auth, Github

        token = env.clouds.github.token("mallory", repository=FORK)
        with Github(base_url=env.clouds.github.api_url, auth=Auth.Token(token), retry=None) as stranger:
            stranger.get_repo(NAME).create_fork()
            git("switch", "-q", "-c", "evil")
            gate = env.workspace.text(config.GATE)
            env.workspace.write(
                {
                    config.GATE: config.set_values(gate, config.GATE, {"min_recall": 0.01}),
                    "infra/platform.yaml": env.workspace.text("infra/platform.yaml") + "# more\n",
                },
                "Let everything pass",
            )
            place = f"{env.clouds.github.url}/{FORK}.git".replace("://", f"://x-access-token:{token}@")
            git("push", "-q", place, "evil")
            pull = stranger.get_repo(NAME).create_pull(base="main", head="mallory:evil", title="Please", body="")
        fired = env.fired()
        assert set(fired) == {"ci.yml", "infra.yml"}
        ci, infra = fired["ci.yml"], fired["infra.yml"]
        assert passed(ci) == CI | ON_CODE | {"Plan"}
        assert "### model-config is valid" in ci.summary
        assert "| `min_recall` | `0.6` | `0.01` |" in ci.summary
        assert "`train.yml` trains a model" in ci.summary
        assert passed(infra) == {"Report why nothing ran"}
        assert "a fork gets no role" in infra.summary
        assert person.get_pull(pull.number).comments == 0
        assert env.checks(pull.head.sha) == {}
        assert all("ACTIONS_ID_TOKEN" not in run.log for run in fired.values())

        # A person's approval record fails the checks, and the commit's status is failure.
        git("switch", "-q", "main")
        env.switch("infra.yml", on=False)
        pull = env.propose("mine", {"model-config/approvals/0001.yaml": "approval: 1\n"}, "Approve it myself")
        ci = env.fired()["ci.yml"]
        assert failed(ci) == {"Validate model-config", "Required checks"}
        assert "only the bot (github-actions[bot]) writes" in ci.job("validate").log
        assert env.checks(pull.head.sha) == {"fraudops/ci": "failure"}
