"""What the workflow files do without infrastructure: which start, which do not, and what a fork's pull request gets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ml import config
from tests.gitops.local_hub import NAME
from tests.workflows import workflow_world
from tests.workflows.workflow_world import failed, passed

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
CI = {"Detect changes", "Validate model-config", "Required checks"}
ON_CODE = {"CloudFormation templates", "Workflows"}
FORK = "mallory/fraudops"


def test_from_the_first_push_to_a_forks_pull_request(tmp_path: Path) -> None:
    """Without infrastructure every workflow that has something to do says what to run; a fork gets no role."""
    with workflow_world.started(tmp_path) as world:
        person = world.forge.api

        # The first push of a repository made from the template: everything is new, so everything fires.
        git = world.workshop.git
        address = f"{world.clouds.github.url}/acme/fresh"
        world.clouds.github.create_repository("acme/fresh")
        git("-c", f"http.extraheader={world.header('alice')}", "push", "-q", address, "main")
        world.clouds.actions.wait(workflow_world.RUN_SECONDS)
        first = {Path(run.file).name: run for run in world.clouds.actions.runs("acme/fresh")}
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
        git("-c", f"http.extraheader={world.header('alice')}", "push", "-q", "origin", "v1", "topic")
        world.workshop.write({config.GATE: world.workshop.text(config.GATE) + "# loose\n"}, "Not for anyone")
        with pytest.raises(subprocess.CalledProcessError) as refused:
            git("-c", "http.extraheader=Authorization: basic bm9ib2R5OndpdGg=", "push", "-q", "origin", "main")
        assert "could not read Username" in refused.value.stderr
        git("reset", "-q", "--hard", "HEAD~1")
        assert world.runs() == []

        # Started by hand on another branch, what acts does nothing there, and says so.
        for name in ("train.yml", "deploy.yml"):
            assert person.get_workflow(name).create_dispatch("topic", {"reason": "Try it"})
            run = world.fired()[name]
            assert passed(run) == {"Report why nothing ran"}
            assert "this runs on main only" in run.summary

        # A fork changes what trains, what serves and the infrastructure: it is read, and gets nothing to act with.
        for role in ("TRAIN", "DEPLOY", "INFRA", "INFRA_PLAN", "DRIFT"):
            person.create_variable(f"FRAUDOPS_ROLE_{role}", f"arn:aws:iam::123456789012:role/{role.lower()}")
        from github import Auth, Github

        token = world.clouds.github.token("mallory", repository=FORK)
        with Github(base_url=world.clouds.github.api_url, auth=Auth.Token(token), retry=None) as stranger:
            stranger.get_repo(NAME).create_fork()
            git("switch", "-q", "-c", "evil")
            world.workshop.write(
                {
                    config.GATE: world.workshop.text(config.GATE).replace("min_recall: 0.60", "min_recall: 0.01"),
                    "infra/platform.yaml": world.workshop.text("infra/platform.yaml") + "# more\n",
                },
                "Let everything pass",
            )
            place = f"{world.clouds.github.url}/{FORK}.git".replace("://", f"://x-access-token:{token}@")
            git("push", "-q", place, "evil")
            pull = stranger.get_repo(NAME).create_pull(base="main", head="mallory:evil", title="Please", body="")
        fired = world.fired()
        assert set(fired) == {"ci.yml", "infra.yml"}
        ci, infra = fired["ci.yml"], fired["infra.yml"]
        assert passed(ci) == CI | ON_CODE | {"Plan"}
        assert "### model-config is valid" in ci.summary
        assert "| `min_recall` | `0.6` | `0.01` |" in ci.summary
        assert "`train.yml` trains a model" in ci.summary
        assert passed(infra) == {"Report why nothing ran"}
        assert "a fork gets no role" in infra.summary
        assert person.get_pull(pull.number).comments == 0
        assert world.checks(pull.head.sha) == {}
        assert all("ACTIONS_ID_TOKEN" not in run.log for run in fired.values())

        # What only the bot writes is refused to a person, and what one file says another must hold.
        git("switch", "-q", "main")
        world.switch("infra.yml", on=False)
        pull = world.propose("mine", {"model-config/approvals/0001.yaml": "approval: 1\n"}, "Approve it myself")
        ci = world.fired()["ci.yml"]
        assert failed(ci) == {"Validate model-config", "Required checks"}
        assert "only the bot (github-actions[bot]) writes" in ci.job("validate").log
        assert world.checks(pull.head.sha) == {"fraudops/ci": "failure"}
