"""What the workflow files do without infrastructure: which start, which do not, and what a fork's pull request gets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml import config
from tests.harness.github.emulator import NAME
from tests.harness.workflows import environment
from tests.harness.workflows.environment import failed, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
CI = {"Detect changes", "Validate model-config", "Required checks"}
ON_CODE = {"CloudFormation templates", "Workflows"}
FORK = "mallory/fraudops"


def test_from_the_first_push_to_a_forks_pull_request(tmp_path: Path) -> None:
    """Without infrastructure every workflow that has something to do says what to run; a fork gets no role."""
    with environment.started(tmp_path) as env:
        person = env.bot.api

        # The first push of a repository made from the template: everything is new, so everything fires.
        git = env.workspace.git
        address = f"{env.clouds.github.url}/acme/fresh"
        env.clouds.github.create_repository("acme/fresh")
        git("-c", f"http.extraheader={env.header('alice')}", "push", "-q", address, "main")
        env.clouds.actions.wait(environment.RUN_SECONDS)
        first = {Path(run.file).name: run for run in env.clouds.actions.runs("acme/fresh")}
        assert set(first) == {"ci.yml", "train.yml", "deploy.yml", "infra.yml"}
        assert passed(first["ci.yml"]) == CI | ON_CODE
        for name in ("train.yml", "deploy.yml", "infra.yml"):
            assert passed(first[name]) == {"Report why nothing ran"}
            assert "`fraudops bootstrap`" in first[name].summary
            (notice,) = first[name].job("not-run").annotations
            assert (notice.level, notice.title) == ("notice", "Not run")

        # Tags and branches fire nothing; neither does a push whose token GitHub does not know.
        git("tag", "v1")
        git("branch", "topic")
        git("-c", f"http.extraheader={env.header('alice')}", "push", "-q", "origin", "v1", "topic")
        env.workspace.write({config.GATE: env.workspace.text(config.GATE) + "# loose\n"}, "Not for anyone")
        with pytest.raises(subprocess.CalledProcessError) as refused:
            git("-c", "http.extraheader=Authorization: basic bm9ib2R5OndpdGg=", "push", "-q", "origin", "main")
        assert "could not read Username" in refused.value.stderr
        git("reset", "-q", "--hard", "HEAD~1")
        assert env.runs() == []

        # Started by hand on another branch, what acts does nothing there, and says so.
        for name in ("train.yml", "deploy.yml"):
            assert person.get_workflow(name).create_dispatch("topic", {"reason": "Try it"})
            run = env.fired()[name]
            assert passed(run) == {"Report why nothing ran"}
            assert "this runs on main only" in run.summary

        # A fork changes what trains, what serves and the infrastructure: it is read, and gets nothing to act with.
        for role in ("TRAIN", "DEPLOY", "INFRA", "INFRA_PLAN", "DRIFT"):
            person.create_variable(f"FRAUDOPS_ROLE_{role}", f"arn:aws:iam::123456789012:role/{role.lower()}")
        from github import Auth, Github

        token = env.clouds.github.token("mallory", repository=FORK)
        with Github(base_url=env.clouds.github.api_url, auth=Auth.Token(token), retry=None) as stranger:
            stranger.get_repo(NAME).create_fork()
            git("switch", "-q", "-c", "evil")
            env.workspace.write(
                {
                    config.GATE: env.workspace.text(config.GATE).replace("min_recall: 0.60", "min_recall: 0.01"),
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

        # What only the bot writes is refused to a person, and what one file says another must hold.
        git("switch", "-q", "main")
        env.switch("infra.yml", on=False)
        pull = env.propose("mine", {"model-config/approvals/0001.yaml": "approval: 1\n"}, "Approve it myself")
        ci = env.fired()["ci.yml"]
        assert failed(ci) == {"Validate model-config", "Required checks"}
        assert "only the bot (github-actions[bot]) writes" in ci.job("validate").log
        assert env.checks(pull.head.sha) == {"fraudops/ci": "failure"}
