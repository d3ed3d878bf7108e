"""The real train.yml on both emulators: requests, a race, a cancelled run, gate failures, injected text."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from local_github.actions.run_records import Run
from local_github.domain.records import Status

from ml import config
from ml.aws import platform_stack, registry, session
from ml.gitops import commit_statuses, labels
from tests.harness.github.emulator import NAME, WORKFLOW
from tests.harness.workflows import environment
from tests.harness.workflows.environment import WorkflowEnvironment, failed, passed
from tests.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
TRAIN = "Train, evaluate, propose"
ASKED = ("20260301T060000Z-data-drift", "20260302T060000Z-concept-drift")
HOSTILE = "\"; touch $HOME/../../pwned; $(touch pwned) `touch pwned` ${{ github.token }} '\n# **x** @alice"


def training_statuses(env: WorkflowEnvironment, commit: str) -> list[Status]:
    """The training statuses of a commit, oldest first."""
    repository = env.clouds.github.state.find("acme", "fraudops")
    assert repository is not None
    found = list(repository.statuses)
    return [status for status in found if (status.sha, status.context) == (commit, commit_statuses.TRAINING)]


def image(address: str) -> bytes:
    """Downloads an image without authentication."""
    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 - loopback
        assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
        return bytes(answer.read())


def names(runs: list[Run]) -> list[tuple[str, str, str | None]]:
    """Each run's file, event and conclusion."""
    return [(Path(run.file).name, run.event, run.conclusion) for run in runs]


def test_trainings_wait_resume_fail_the_gate_and_are_proposed(tmp_path: Path) -> None:
    """Training runs queue, resume and propose; each takes every open request, and no run is lost or started twice."""
    with environment.started(tmp_path) as env:
        environment.equip(env)
        environment.fill(env)
        group = platform_stack.read().package_group

        # A change of the gate, and two requests while it trains: the first of the two waiting runs is replaced.
        first = env.set_values(config.GATE, {"min_recall": 0.61}, "Ask for more")
        for name in ASKED:
            env.bot.request(name)
        last = env.workspace.git("rev-parse", "HEAD")
        runs = env.runs()
        trained = [run for run in runs if run.workflow == "train"]
        assert [run.conclusion for run in trained] == ["success", "cancelled", "success"], [run.log for run in trained]
        assert [run.sha for run in trained] == [first, trained[1].sha, last]
        assert passed(trained[0]) == passed(trained[2]) == {TRAIN}
        assert trained[1].jobs == []
        dispatched = [run for run in runs if run.event == "workflow_dispatch"]
        assert {run.branch for run in dispatched} == {"approve/0001", "approve/0002"}
        assert {(run.workflow, run.event) for run in runs} == {
            ("train", "push"),
            ("ci", "push"),
            ("ci", "workflow_dispatch"),
        }
        assert [package.version for package in registry.packages(group)] == [1, 2]

        # The second approval is open and resolves both requests; the first was closed with a comment.
        old, pull = (env.bot.api.get_pull(number) for number in (1, 2))
        assert (old.state, old.merged, pull.state, pull.user.login) == ("closed", False, "open", WORKFLOW)
        (word,) = [comment.body for comment in old.get_issue_comments() if "#2" in comment.body]
        assert "trained later" in word
        assert {label.name for label in pull.labels} == {labels.APPROVAL.name}
        package = registry.packages(group)[1]
        git = env.clouds.github.state.named(NAME).git
        content = git.show(pull.head.sha, config.approval_path(2).as_posix())
        record = config.parse((content or b"").decode(), config.approval_path(2), config.ApprovalRecord)
        assert set(record.requests) == set(ASKED)
        for part in (
            "Replaces #1.",
            "There is no champion to compare with",
            f"`sha256:{record.artifact.sha256}`",
            f"`sha256:{record.data.sha256}`",
            f"`sha256:{record.config_sha256}`",
            f"`{package.arn}`",
            *(f"`{name}`: V3 moved" for name in ASKED),
            "| recall | 0.826 | 0.629 to 0.930 | 19 of 23 frauds |",
            "alerts a day",
            "What reverting does",
        ):
            assert part in pull.body, part
        pictures = [
            word.rstrip(")") for word in pull.body.replace("(", " ").split() if word.rstrip(")").endswith(".png")
        ]
        assert len(pictures) == 2
        assert all(image(address).startswith(b"\x89PNG") for address in pictures)
        assert env.checks(pull.head.sha) == {"fraudops/ci": "success"}
        (plan,) = [comment for comment in pull.get_issue_comments() if "What merging this does" in comment.body]
        assert plan.user.login == WORKFLOW
        states = [
            (status.state, trained[2].id == int(str(status.target_url).rsplit("/", 1)[1]))
            for status in training_statuses(env, last)
        ]
        assert states == [("pending", True), ("success", True)]

        # The merge deploys that package. (ci.yml on main is not repeated.)
        env.switch("ci.yml", on=False)
        env.bot.merge(2)
        fired = env.fired()
        assert set(fired) == {"deploy.yml"}
        assert passed(fired["deploy.yml"]) == {"Deploy"}
        assert env.bot.env.statuses() == {1: "Rejected", 2: "Approved"}

        # A dispatch with shell syntax in its inputs. The run is cancelled while it trains, and its re-run resumes.
        before = set(known_executions())
        env.switch("train.yml", on=False)
        commit = env.set_values(config.GATE, {"min_recall": 0.62}, "Ask for a little more")
        assert env.runs() == []
        env.switch("train.yml", on=True)
        env.switch("ci.yml", on=True)
        env.dispatch("train.yml", reason="x", request="$(touch pwned); `touch pwned`")
        (wrong,) = env.runs()
        assert failed(wrong) == {TRAIN}
        assert "no such request" in wrong.log
        assert set(known_executions()) == before
        env.dispatch("train.yml", reason=HOSTILE)
        wait_until(lambda: [status for status in training_statuses(env, commit) if status.state == "pending"])
        run = env.clouds.actions.runs()[0]
        assert env.bot.api.get_workflow_run(run.id).cancel()
        assert names(env.runs()) == [("train.yml", "workflow_dispatch", "cancelled")]
        (execution,) = set(known_executions()) - before
        env.clouds.github.fail_api(2)
        env.clouds.actions.rerun(run.id)
        again, checks = env.runs()
        assert (again.id, again.attempt) == (run.id, 2)
        assert passed(again) == {TRAIN}
        assert passed(checks) == {"Detect changes", "Validate model-config", "Plan", "Required checks"}
        assert set(known_executions()) - before == {execution}
        assert [package.version for package in registry.packages(group)] == [1, 2, 3]
        assert not list(tmp_path.rglob("pwned"))
        assert not env.clouds.github.failures
        pull = env.bot.api.get_pull(3)
        assert "touch pwned" in pull.body
        assert "${{ github.token }}" in pull.body.replace("\\", "")
        assert "@alice" not in pull.body
        assert "Both scored the same 6,000 test rows with 23 frauds" in pull.body
        assert "-min_recall: 0.61" in pull.body
        assert "+min_recall: 0.62" in pull.body

        # Two models fail the gate: each is recorded, one issue has both, and nothing is proposed.
        # The record that the bot pushes to main starts nothing.
        strict = config.set_values(env.workspace.text(config.GATE), config.GATE, {"min_recall": 0.999})
        for number, text in enumerate((strict, f"{strict}# as I said\n"), start=1):
            commit = env.push({config.GATE: text}, "Ask for too much")
            found = env.fired()
            assert set(found) == ({"ci.yml", "train.yml"} if number == 1 else {"train.yml"})
            env.switch("ci.yml", on=False)
            assert failed(found["train.yml"]) == {TRAIN}
            assert "0.999" in found["train.yml"].summary
            env.bot.pull()
            gate_failures = config.load_gate_failures(env.bot.root)
            assert len(gate_failures) == number
            assert [failure.commit for failure in gate_failures.values()].count(commit) == 1
            (issue,) = [issue for issue in env.bot.api.get_issues() if issue.pull_request is None]
            assert {label.name for label in issue.labels} == {labels.GATE_FAILURE.name}
            assert issue.comments == number - 1
            assert training_statuses(env, commit)[-1].state == "failure"
        # The model that the former gate passed may no longer be approved by it.
        assert list(env.bot.api.get_pulls()) == []
        assert "judged by another gate (min_recall 0.62 → 0.999)" in list(pull.get_issue_comments())[-1].body
        assert len(registry.packages(group)) == 3


def known_executions() -> list[str]:
    """The ARNs of the pipeline's executions."""
    found = session.client("sagemaker").list_pipeline_executions(PipelineName=platform_stack.pipeline_name())
    return [str(item["PipelineExecutionArn"]) for item in found["PipelineExecutionSummaries"]]
