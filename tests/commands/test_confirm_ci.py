"""`fraudops confirm-ci`: which runs prove something, and what a branch can do to forge one. GitHub is scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ml.commands.confirm_ci import Confirmed, confirm_ci, names
from ml.errors import ConfigError, Refused
from tests.harness.github.scripted import PREFIX, Script, answer, serving

ROOT = Path(__file__).resolve().parents[2]
SHA, BASE, RUN = "a" * 40, "b" * 40, 7
EARLIER = "c" * 40
"""The merge group before that of the run."""
PASSED = dict.fromkeys(names(ROOT), "success")


@dataclass
class World:
    """What GitHub knows. The defaults are a pull request of a branch that changes code, with all jobs passed."""

    run: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=lambda: dict(PASSED))
    pulls: list[dict[str, Any]] = field(default_factory=lambda: [pull()])
    changed: tuple[str, ...] = ("ml",)
    group: tuple[str, ...] = ()
    """What the run's merge group changes, of `changed`; the rest is of the group before it."""
    main_moved: tuple[str, ...] = ()
    """What main has changed since the branch left it."""
    reviews: list[dict[str, Any]] = field(default_factory=list)
    ahead: int = 1
    """How many commits of the run's are not on main."""

    def script(self) -> Script:
        """GitHub's answers."""
        script = Script().on("GET", f"/actions/runs/{RUN}", answer(run(**self.run)))
        jobs = [{"name": name, "conclusion": result, "status": "completed"} for name, result in self.jobs.items()]
        script.on("GET", f"/actions/runs/{RUN}/jobs", answer({"total_count": len(jobs), "jobs": jobs}))
        script.on("GET", "/pulls", answer(self.pulls))
        script.on("GET", "/pulls/9/reviews", answer(self.reviews))
        script.on("GET", "/collaborators/bob/permission", answer({"permission": "write", "role_name": "maintain"}))
        script.on("GET", "/collaborators/eve/permission", answer({"permission": "read", "role_name": "read"}))
        script.on("GET", f"/compare/main...{SHA}", answer({"merge_base_commit": {"sha": BASE}, "ahead_by": self.ahead}))
        script.on("GET", f"/compare/{EARLIER}...{SHA}", answer({"merge_base_commit": {"sha": EARLIER}, "ahead_by": 1}))
        script.on("GET", f"/git/trees/{EARLIER}", answer(tree("head", tuple({*self.changed} - {*self.group}))))
        script.on("GET", f"/git/trees/{BASE}", answer(tree("base", ())))
        script.on("GET", f"/git/trees/{SHA}", answer(tree("head", self.changed)))
        script.on("GET", "/git/trees/main", answer(tree("main", self.main_moved)))
        script.on("POST", f"/statuses/{SHA}", answer({}, 201))
        return script


def run(**changes: Any) -> dict[str, Any]:
    """A finished run of ci.yml for a pull request, as GitHub describes it."""
    described = {
        "id": RUN,
        "path": ".github/workflows/ci.yml",
        "event": "pull_request",
        "head_branch": "topic",
        "head_sha": SHA,
        "status": "completed",
        "head_repository": {"full_name": "o/r"},
        "html_url": "https://github.example/o/r/actions/runs/7",
    }
    return described | changes


def pull(sha: str = SHA) -> dict[str, Any]:
    """An open pull request of the branch `topic`."""
    head = {"ref": "topic", "sha": sha, "repo": {"full_name": "o/r"}}
    return {"number": 9, "user": {"login": "alice"}, "head": head, "base": {"ref": "main"}}


def review(login: str = "bob", state: str = "APPROVED", **changes: Any) -> dict[str, Any]:
    """A review of the head commit."""
    user = {"login": login, "type": "User"}
    return {"user": user, "state": state, "commit_id": SHA} | changes


def tree(commit: str, changed: tuple[str, ...]) -> dict[str, Any]:
    """The root of a commit, with other ids for the changed entries."""
    entries = (".github", "ml", "model-config", "README.md")
    return {"tree": [{"path": name, "sha": f"{commit if name in changed else 'base'}-{name}"} for name in entries]}


@pytest.fixture
def confirm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[World], tuple[Confirmed, Script]]]:
    """Confirms the run of a world; returns the result, and the script with the requests."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    monkeypatch.setenv("GITHUB_TOKEN", "the-workflows")
    monkeypatch.setenv("FRAUDOPS_STATUS_TOKEN", "the-apps")

    def call(world: World) -> tuple[Confirmed, Script]:
        with serving(world.script()) as script:
            monkeypatch.setenv("GITHUB_API_URL", f"{script.url}{PREFIX.removesuffix('/repos/o/r')}")
            return confirm_ci(ROOT, run=RUN), script

    yield call


Confirm = Callable[[World], tuple[Confirmed, Script]]


def test_passed_run_gets_the_apps_status(confirm: Confirm) -> None:
    """The App's token posts, and no other request uses it."""
    result, script = confirm(World())
    assert (result.state, result.sha) == ("success", SHA)
    (posted,) = [each for each in script.asked if each[0] == "POST"]
    assert posted[2]["context"] == "fraudops/ci"
    assert posted[2]["state"] == "success"
    tokens = [header["Authorization"] for header in script.headers]
    assert [each.partition(" ")[2] for each in tokens if "the-apps" in each] == ["the-apps"]


@pytest.mark.parametrize("job", sorted(PASSED))
@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped", "missing"])
def test_each_job_has_to_pass(confirm: Confirm, job: str, result: str) -> None:
    """A job that failed, was skipped though code changed, or does not exist in the run."""
    world = World()
    world.jobs = {name: result if name == job else each for name, each in PASSED.items()}
    if result == "missing":
        del world.jobs[job]
    assert confirm(world)[0].state == "failure"


def test_jobs_for_code_may_be_skipped_if_only_settings_changed(confirm: Confirm) -> None:
    """What changed is read from tree ids, not from the output of a job of the branch."""
    code = ("Tests", "Packages on their own", "CloudFormation templates", "Workflows")
    jobs = {name: "skipped" if name in code else result for name, result in PASSED.items()}
    assert confirm(World(jobs=jobs, changed=("model-config",)))[0].state == "success"
    assert confirm(World(jobs=jobs, changed=("model-config", "README.md")))[0].state == "failure"


def test_branch_that_changes_the_workflows_waits_for_a_review_of_that_commit(confirm: Confirm) -> None:
    """Its jobs are its own definition: all passed proves nothing. A later approval of somebody else does."""
    changes = (".github", "ml")
    result, script = confirm(World(changed=changes))
    assert result.state == "pending"
    assert "needs an approving review, then: gh workflow run ci-status.yml --field run=7" in result.description
    assert script.count("POST", f"/statuses/{SHA}") == 1
    for wrong in (
        review("alice"),
        review(commit_id=BASE),
        review(state="CHANGES_REQUESTED"),
        review("eve"),
        review("robot[bot]", user={"login": "robot[bot]", "type": "Bot"}),
    ):
        assert confirm(World(changed=changes, reviews=[wrong]))[0].state == "pending"
    assert confirm(World(changed=changes, reviews=[review(), review(state="DISMISSED")]))[0].state == "pending"
    assert confirm(World(changed=changes, reviews=[review()]))[0].state == "success"


def test_dispatch_takes_the_workflow_of_its_branch(confirm: Confirm) -> None:
    """So a branch that left main before a change of .github/ has to be updated; a pull request's run has main's."""
    dispatched = {"event": "workflow_dispatch"}
    assert confirm(World(run=dispatched))[0].state == "success"
    old = World(run=dispatched, main_moved=(".github",))
    assert confirm(old)[0].description == ".github/ of the branch is older than main's; update the branch"
    assert confirm(World(main_moved=(".github",)))[0].state == "success"


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (World(run={"head_repository": {"full_name": "x/r"}}), "a fork's pull request"),
        (World(run={"head_repository": None}), "a fork's pull request"),
        (World(run={"status": "in_progress"}), "has not ended"),
        (World(pulls=[]), "no open pull request"),
        (World(run={"event": "push"}), "is of the event push, which main's ci.yml does not have for a branch"),
        (World(run={"head_branch": "main", "event": "push"}, pulls=[]), "no open pull request"),
        (World(run={"event": "merge_group", "head_branch": "gh-readonly-queue/x/pr-9-" + BASE}, pulls=[]), "no open"),
        (World(pulls=[pull(sha=BASE)]), "has moved on"),
        (
            World(run={"event": "workflow_dispatch"}, jobs=PASSED | {"Plan": "skipped"}),
            "dispatched without its pull request",
        ),
    ],
)
def test_run_that_proves_nothing_gets_no_status(confirm: Confirm, world: World, why: str) -> None:
    """The result says why, and nothing is posted."""
    result, script = confirm(world)
    assert result.state is None
    assert why in result.description
    assert script.count("POST", f"/statuses/{SHA}") == 0


@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_commit_of_main_gets_the_status(confirm: Confirm, event: str) -> None:
    """There is no pull request to plan for, and jobs that main's own definition skipped were not needed."""
    jobs = PASSED | {"Plan": "skipped", "Tests": "skipped"}
    world = World(run={"event": event, "head_branch": "main"}, jobs=jobs, pulls=[], changed=(), ahead=0)
    assert confirm(world)[0].state == "success"
    world.jobs = jobs | {"Validate model-config": "failure"}
    assert confirm(world)[0].state == "failure"


def test_merge_group_is_compared_with_the_group_before_it(confirm: Confirm) -> None:
    """Jobs for code may be skipped if only the group before it changed code, as ci.yml itself decides."""
    code = ("Tests", "Packages on their own", "CloudFormation templates", "Workflows")
    jobs = {name: "skipped" if name in (*code, "Plan") else result for name, result in PASSED.items()}
    described = {"event": "merge_group", "head_branch": f"gh-readonly-queue/main/pr-9-{EARLIER}"}
    world = World(run=described, jobs=jobs, pulls=[], changed=("ml", "model-config"), group=("model-config",))
    assert (confirm(world)[0].state, confirm(world)[0].sha) == ("success", SHA)
    world.group = ("ml",)
    assert "was skipped but had to run" in confirm(world)[0].description


def test_run_of_another_workflow_file_is_refused(confirm: Confirm) -> None:
    """A branch can add a file whose workflow has the name `ci`, which starts ci-status.yml as well."""
    with pytest.raises(Refused, match=r"is one of \.github/workflows/mine\.yml, not of \.github/workflows/ci\.yml"):
        confirm(World(run={"path": ".github/workflows/mine.yml"}))


def test_token_of_the_app_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The workflow's own token could post too, but not as the App."""
    with pytest.raises(ConfigError, match="FRAUDOPS_STATUS_TOKEN"):
        confirm_ci(ROOT, run=RUN)
    with pytest.raises(ConfigError, match=r"ci\.yml must be below"):
        names(tmp_path)
