"""`fraudops changes`: what a pull request, a push, a dispatch or a laptop compares with what."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.commands import changes
from ml.errors import ConfigError, GitError, GitHubError
from ml.workflow import changed_files as workflow_change
from tests.harness.git import changes as harness_changes
from tests.harness.git.changes import ChangedRepository


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository with model-config/."""
    return harness_changes.make(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("path", "code", "state"),
    [("README.md", "true", "false"), ("model-config/training/gate.yaml", "false", "true")],
)
def test_pull_request_changes_are_those_of_its_merge(env: ChangedRepository, path: str, code: str, state: str) -> None:
    """Commits that main got since the branch are not counted; code and model-config/ are separate outputs."""
    env.branch("change", {path: (env.root / path).read_text() + "# more\n"})
    env.workspace.git("switch", "-q", "main")
    env.workspace.write({"elsewhere.txt": "main went on\n"}, "Go on")
    env.workspace.git("switch", "-q", "change")
    env.pull_request()
    found = changes.changes(env.root)
    assert workflow_change.of(env.repository).files == {path: "M"}
    assert found.base == env.workspace.git("rev-parse", "main")
    outputs = env.outputs.read_text()
    assert f"\n{code}\n" in outputs.partition("model_config")[0]
    assert f"\n{state}\n" in outputs.partition("model_config")[2]


def test_push_is_compared_with_former_main(env: ChangedRepository) -> None:
    """All commits of the push count, not only the last one."""
    before = env.workspace.git("rev-parse", "HEAD")
    env.workspace.write({"one.txt": "1"}, "One")
    env.workspace.write({"two.txt": "2"}, "Two")
    env.push(before)
    assert workflow_change.of(env.repository).files == {"one.txt": "A", "two.txt": "A"}


def test_first_push_changes_everything(env: ChangedRepository) -> None:
    """A repository made from the template has no commit before: every file counts as new."""
    env.push("0" * 40)
    change = workflow_change.of(env.repository)
    assert change.base is None
    assert change.code
    assert "model-config/training/gate.yaml" in change.files


def test_dispatch_on_a_branch_is_compared_with_its_merge_base(env: ChangedRepository) -> None:
    """Commits that main got since the branch are not counted."""
    base = env.workspace.git("rev-parse", "main")
    env.branch("approve/0001", {"a.txt": "a"})
    env.workspace.git("switch", "-q", "main")
    env.workspace.write({"b.txt": "b"}, "Go on")
    env.workspace.git("switch", "-q", "approve/0001")
    env.event("workflow_dispatch", {"inputs": {}}, ref_name="approve/0001")
    change = workflow_change.of(env.repository)
    assert (change.base, change.files) == (base, {"a.txt": "A"})
    assert change.main == env.workspace.git("rev-parse", "main")


def test_dispatch_on_main_runs_everything(env: ChangedRepository) -> None:
    """Nothing differs from main, but a person who starts the run expects the tests to run."""
    env.event("workflow_dispatch", {"inputs": {}})
    assert changes.changes(env.root).code


def test_merge_group_is_compared_with_the_group_before_it(env: ChangedRepository) -> None:
    """A group is stacked on main or on an earlier group, whose files it does not count."""
    env.branch("first", {"first.txt": "1"})
    earlier = env.merge("first")
    env.workspace.git("branch", "-q", "earlier")
    env.workspace.git("reset", "-q", "--hard", "HEAD~1")  # main has not received the earlier group
    env.workspace.git("switch", "-q", "earlier")
    env.workspace.write({"model-config/training/gate.yaml": "changed\n"}, "Second")
    env.merge_group(earlier)
    change = workflow_change.of(env.repository)
    assert change.files == {"model-config/training/gate.yaml": "M"}
    assert (change.event, change.base, change.main, change.code) == ("merge_group", earlier, earlier, False)
    assert workflow_change.pull_request() is None
    assert not changes.changes(env.root).code


def test_merge_group_outside_the_clone_is_an_error(env: ChangedRepository) -> None:
    """A shallow clone lacks the commit that the group is stacked on."""
    env.merge_group("a" * 40)
    with pytest.raises(GitError, match=r"commit aaaaaaaaaaaa, .* is not in this clone; check out with fetch-depth: 0"):
        workflow_change.of(env.repository)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({}, r"must name merge_group\.base_sha, a commit \(got None\)"),
        ({"merge_group": []}, r"must name merge_group\.base_sha, a commit \(got None\)"),
        (
            {"merge_group": {"base_sha": "a" * 40, "head_sha": "main"}},
            r"merge_group\.head_sha, a commit \(got 'main'\)",
        ),
    ],
)
def test_merge_group_event_without_its_commits_is_refused(
    env: ChangedRepository, payload: dict[str, object], message: str
) -> None:
    """The error names the field and its value."""
    env.event("merge_group", payload)
    with pytest.raises(ConfigError, match=message):
        workflow_change.merge_group()


def test_laptop_includes_uncommitted_changes(env: ChangedRepository) -> None:
    """Edited, deleted and new files count; ignored files do not."""
    env.workspace.write({".gitignore": "ignored\n"}, "Ignore")
    (env.root / "README.md").write_text("# Edited\n")
    (env.root / "model-config/README.md").unlink()
    for name in ("new.txt", "ignored"):
        (env.root / name).write_text("x")
    assert workflow_change.of(env.repository).files == {
        "README.md": "M",
        "model-config/README.md": "D",
        "new.txt": "A",
    }


def test_pull_request_event_gives_author_and_source(env: ChangedRepository) -> None:
    """The token is read-only for a fork and for dependabot."""
    env.branch("change", {"a.txt": "a"})
    env.pull_request(author="person", fork=True)
    found = workflow_change.pull_request()
    assert found is not None
    assert (found.number, found.author, found.read_only) == (7, "person", True)
    env.workspace.git("switch", "-q", "change")
    env.pull_request(author="dependabot[bot]")
    found = workflow_change.pull_request()
    assert found is not None
    assert found.read_only


def test_dispatch_that_names_another_branchs_pull_request_is_refused(
    env: ChangedRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a run on one branch could comment on the pull request of another."""
    from tests.harness.github.scripted import PREFIX, Script, answer, serving

    pull = {
        "number": 9,
        "html_url": "u",
        "state": "open",
        "title": "t",
        "body": "",
        "user": {"login": "github-actions[bot]"},
        "labels": [],
        "merged_at": None,
        "head": {"ref": "approve/0002", "sha": "a" * 40, "repo": {"full_name": "o/r"}},
        "base": {"ref": "main"},
    }
    env.event("workflow_dispatch", {}, ref_name="approve/0001")
    with serving(Script().on("GET", "/pulls/9", answer(pull))) as script:
        monkeypatch.setenv("GITHUB_API_URL", f"{script.url}{PREFIX.removesuffix('/repos/o/r')}")
        monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
        monkeypatch.setenv("GITHUB_TOKEN", "t")
        with pytest.raises(GitHubError, match=r"#9 is a pull request of approve/0002, and this runs on approve/0001"):
            workflow_change.pull_request(9)
        env.event("workflow_dispatch", {}, ref_name="approve/0002", sha="b" * 40)
        found = workflow_change.pull_request(9)
    assert found is not None
    assert (found.author, found.head_sha) == ("github-actions[bot]", "b" * 40)


def test_without_an_event_there_is_no_pull_request(env: ChangedRepository) -> None:
    """The result is None, without a request to GitHub."""
    assert workflow_change.pull_request() is None


def test_event_that_is_not_json_is_an_error(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    file = env.folder / "event.json"
    file.write_text("{")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(file))
    with pytest.raises(ConfigError, match="GITHUB_EVENT_PATH must name the event's JSON"):
        workflow_change.pull_request()
