"""`fraudops self-heal`: differences that are handed over start deploy.yml once, without an AWS account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from github.Issue import Issue
from local_github.api.router import Call
from local_github.server import LocalGitHub

from ml import clock, config
from ml.commands.self_heal import self_heal
from ml.errors import ConfigError, GitHubError
from ml.release import self_heal_hand_over
from ml.release.self_heal_policy import Action
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform
from tests.release.self_heal_cases import COMPARED, difference

ON = "self_heal: true"


@dataclass
class Repository:
    """A repository on the GitHub emulator whose main says `self_heal: true`, and its runs of deploy.yml."""

    bot: BotEnvironment
    runs: list[dict[str, Any]] = field(default_factory=list)

    def document(self, *found: Any, **changes: Any) -> str:
        """What a comparison of main hands over."""
        fields: dict[str, Any] = {
            "commit": self.bot.workspace.repository.head(),
            "compared": COMPARED,
            "unsettled": None,
            "undeployed": None,
        }
        return self_heal_hand_over.write(found=list(found or (difference(),)), **(fields | changes))

    def heal(self, *found: Any, **changes: Any) -> Action:
        """Runs the verb on a comparison; returns what it did."""
        return self_heal(self.bot.root, document=self.document(*found, **changes)).action

    def add_run(self, title: str = "Merge", *, status: str = "completed", minutes: float = -60) -> None:
        """Adds a run of deploy.yml that changed last so many minutes after the comparison began."""
        number, moment = len(self.runs) + 1, clock.stamp(COMPARED + timedelta(minutes=minutes))
        run = {"id": number, "html_url": f"https://git.invalid/runs/{number}", "display_title": title}
        run |= {"status": status, "conclusion": "failure" if status == "completed" else None}
        self.runs.insert(0, {**run, "created_at": moment, "updated_at": moment})

    @property
    def reasons(self) -> list[str]:
        """The reason of each deployment that was started."""
        assert {(file, ref) for file, ref, _ in self.bot.started} <= {("deploy.yml", "main")}
        return [inputs["reason"] for *_, inputs in self.bot.started]

    def issues(self, state: str = "open") -> list[Issue]:
        """The issues, oldest first."""
        return sorted(self.bot.api.get_issues(state=state), key=lambda issue: issue.number)

    def comments(self) -> list[str]:
        """The comments on the first issue, without their hidden line."""
        (issue, *_) = self.issues("all")
        return [comment.body.partition("\n")[2] for comment in issue.get_comments()]

    def edit(self, old: str, new: str) -> None:
        """Changes the serving file on main."""
        text = self.bot.workspace.text(config.SERVING)
        assert old in text
        self.bot.workspace.write({config.SERVING: text.replace(old, new)}, "Change the serving file")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """The repository, two minutes after the comparison began."""
    env = ServedPlatform(workspace=served.repository(tmp_path / "repository"))
    monkeypatch.setenv("FRAUDOPS_NOW", clock.stamp(COMPARED + timedelta(minutes=2)))
    with LocalGitHub(tmp_path / "github") as github:
        found = Repository(bot_environment.around(env, github, tmp_path, monkeypatch))
        found.edit("self_heal: false", ON)
        found.bot.push()

        def runs(call: Call) -> dict[str, Any]:
            call.need("actions", "read")
            return {"total_count": len(found.runs), "workflow_runs": found.runs}

        github.router.register("GET", "/api/v3/repos/<owner>/<name>/actions/workflows/<workflow>/runs", runs)
        yield found


def test_difference_starts_one_deployment_and_is_explained(made: Repository) -> None:
    """The issue says what differed; the run's reason names the issue; the second sight starts nothing and asks."""
    alarm = difference("alarm DriftAlarm", "mute", "template")
    assert made.heal(difference(detail="endpoint runs by-hand"), alarm) == "start"
    (reason,) = made.reasons
    (issue,) = made.issues()
    assert reason.startswith(f"self-heal #{issue.number} ")
    assert [label.name for label in issue.labels] == ["self-heal"]
    assert "| endpoint | endpoint runs by-hand |" in issue.body
    assert "| alarm DriftAlarm | mute | infra.yml or" in issue.body
    assert f"/acme/fraudops/actions/runs/{bot_environment.RUN}) found 1 subject that differs from Git" in issue.body
    assert "`deploy.yml` was started; its run is the one named `self-heal" in made.comments()[0]

    made.add_run(f"deploy: {reason}", minutes=-10)
    for _ in range(2):
        assert made.heal(difference(detail="endpoint runs by-hand"), alarm) == "tried"
    assert len(made.reasons) == 1
    assert [each.number for each in made.issues()] == [issue.number]
    _, asked = made.comments()
    assert asked.startswith("**This needs a person.** deploy.yml was started for this and did not put it back.")
    assert "(https://git.invalid/runs/1): failure" in asked
    summary = (made.bot.folder / "summary.md").read_text()
    assert (
        f"**deploy.yml was started**: deploy.yml puts back what Git says of endpoint; see #{issue.number}." in summary
    )


def test_issue_is_closed_when_nothing_differs(made: Repository) -> None:
    """With a comment; the same difference later starts a deployment again, in an issue that names the former."""
    assert made.heal() == "start"
    assert made.heal(difference("alarm DriftAlarm", remedy="template")) == "equal"
    (issue,) = made.issues("all")
    assert issue.state == "closed"
    assert "is what Git says again. 1 other subject differs" in made.comments()[-1]
    assert made.heal() == "start"
    assert len(made.reasons) == 2
    (again,) = made.issues()
    assert f"Earlier issue: #{issue.number}" in again.body


def test_another_difference_starts_another_deployment(made: Repository) -> None:
    """In the same issue, up to the limit; part of what was tried starts none."""
    assert made.heal(difference(), difference("order")) == "start"
    assert made.heal(difference("order")) == "tried"
    assert [made.heal(difference(detail=f"runs by-hand-{n}")) for n in range(3)] == ["start", "start", "tried"]
    assert len(made.reasons) == len({reason.split()[2] for reason in made.reasons}) == 3
    assert len(made.issues("all")) == 1


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "pending"])
def test_nothing_is_started_beside_a_run(made: Repository, status: str) -> None:
    """One that runs, waits its turn or waits for its reviewer; nothing is written on GitHub either."""
    made.add_run(status=status)
    assert made.heal() == "wait"
    assert (made.reasons, made.issues("all")) == ([], [])


def test_nothing_is_started_after_a_merge_or_a_deployment(made: Repository) -> None:
    """What was compared is not what is there now."""
    made.add_run(minutes=1)
    assert made.heal() == "wait"
    made.runs.clear()
    compared = made.bot.workspace.repository.head()
    made.edit("sampling_percentage: 100", "sampling_percentage: 50")
    assert made.heal(commit=compared) == "wait"
    made.bot.workspace.write({"README.md": "Another file."}, "Change another file")
    assert made.heal() == "start"


def test_nothing_is_started_with_the_setting_off(made: Repository) -> None:
    """The document cannot switch it on; an open issue is closed."""
    assert made.heal() == "start"
    made.edit(ON, "self_heal: false")
    assert made.heal(difference("order")) == "off"
    assert len(made.reasons) == 1
    assert made.issues() == []
    assert "no longer says `self_heal: true`" in made.comments()[-1]


def test_lost_dispatch_is_made_up_for(made: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job ended between the issue and the dispatch: the next one starts it, in the same issue."""
    token = made.bot.hub.server.token(
        "github-actions[bot]",
        permissions={"issues": "write", "contents": "read", "actions": "read"},
        repository="acme/fraudops",
    )
    monkeypatch.setenv("GITHUB_TOKEN", token)
    with pytest.raises(GitHubError, match=r"starting deploy\.yml on main"):
        made.heal()
    assert (len(made.issues()), made.reasons) == (1, [])
    monkeypatch.setenv("GITHUB_TOKEN", made.bot.hub.token)
    assert made.heal() == "start"
    assert (len(made.issues("all")), len(made.reasons)) == (1, 1)


def test_lost_note_of_a_dispatch_is_made_up_for(made: Repository) -> None:
    """The job ended between the dispatch and its comment: the run's title shows that it was started."""
    assert made.heal() == "start"
    (issue,) = made.issues()
    for comment in issue.get_comments():
        comment.delete()
    made.add_run(f"deploy: {made.reasons[0]}", minutes=-10)
    assert made.heal() == "tried"
    assert len(made.reasons) == 1


def test_difference_that_must_not_be_put_back_is_explained_once(made: Repository) -> None:
    """In one issue, with the reason; without the obstacle the same issue has the deployment."""
    failed = "the last deployment, of approval 0003, failed: its canary was rolled back"
    for minute in range(2):
        assert made.heal(undeployed=f"{failed} (request {minute})") == "blocked"
    (issue,) = made.issues()
    assert issue.title == "The account differs from Git"
    assert f"is not started: {failed}" in issue.body
    assert "| endpoint | endpoint was changed by hand |" in issue.body
    assert (made.reasons, made.comments()) == ([], [])
    assert made.heal(difference("order"), undeployed=failed) == "blocked"
    assert len(made.comments()) == 1
    assert f"see #{issue.number}" in (made.bot.folder / "summary.md").read_text()
    assert made.heal() == "start"
    assert [each.number for each in made.issues()] == [issue.number]
    assert made.heal() == "tried"
    assert len(made.reasons) == 1
    assert made.heal(difference("alarm DriftAlarm", remedy="template")) == "equal"
    assert made.issues() == []


def test_unknown_commit_is_refused(made: Repository) -> None:
    """A document that is not about main starts nothing."""
    with pytest.raises(ConfigError, match="commit must be one of main"):
        made.heal(commit="f" * 40)
    assert (made.reasons, made.issues("all")) == ([], [])
