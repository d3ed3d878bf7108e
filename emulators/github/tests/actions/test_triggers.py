"""Which workflows an event starts."""

from __future__ import annotations

from typing import Any

import pytest
from local_github.actions import triggers
from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse
from local_github.domain.events import Event

JOBS = "jobs: {job: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n"


def workflow(on: str) -> Workflow:
    """A workflow with this `on:` in YAML."""
    return parse(f"on: {on}\n{JOBS}", ".github/workflows/x.yml")


def event(name: str, **more: Any) -> Event:
    """An event of acme/model, by default on main."""
    fixed: dict[str, Any] = {"ref": "refs/heads/main", "sha": "1" * 40, "payload": {}, "actor": "alice"}
    return Event(name=name, repository="acme/model", **(fixed | more))


def push(ref: str = "refs/heads/main", *files: str) -> Event:
    """A push that changed `files`."""
    return event("push", ref=ref, changed_files=files)


def pull(base: str = "main", action: str = "opened", *files: str) -> Event:
    """A pull request's event."""
    payload = {"pull_request": {"base": {"ref": base}}}
    return event("pull_request", ref="refs/pull/1/merge", action=action, payload=payload, changed_files=files)


@pytest.mark.parametrize("on", ["push", "[push, fork]", "{push: }", "{push: {branches: main}}"])
def test_on_is_text_list_or_mapping(on: str) -> None:
    """`on` is a key and not YAML 1.1's true."""
    assert triggers.starts(workflow(on), push())
    assert not triggers.starts(workflow(on), event("issues", action="opened"))


@pytest.mark.parametrize(
    ("filters", "ref", "fires"),
    [
        ("{branches: [main]}", "refs/heads/main", True),
        ("{branches: [main]}", "refs/heads/dev", False),
        ("{branches: ['**', '!dev']}", "refs/heads/dev", False),
        ("{branches-ignore: [dev]}", "refs/heads/dev", False),
        ("{branches-ignore: [dev]}", "refs/heads/main", True),
        ("{branches: [main]}", "refs/tags/v1", False),
        ("{branches-ignore: [dev]}", "refs/tags/v1", False),
        ("{tags: [v1*]}", "refs/tags/v1.2", True),
        ("{tags: [v1*]}", "refs/heads/main", False),
        ("{tags-ignore: [v1*]}", "refs/heads/main", False),
        ("{tags-ignore: [v1*]}", "refs/tags/v2", True),
        ("{branches: [main], tags: [v*]}", "refs/tags/v2", True),
        ("{branches: [main], tags: [v*]}", "refs/heads/main", True),
        ("{}", "refs/tags/v2", True),
        ("{paths: [src/**]}", "refs/tags/v2", True),
    ],
)
def test_push_is_filtered_by_branch_and_tag(filters: str, ref: str, fires: bool) -> None:
    """A filter for branches excludes tags and vice versa; paths do not apply to tags."""
    assert triggers.starts(workflow(f"{{push: {filters}}}"), push(ref, "README.md")) is fires


@pytest.mark.parametrize(
    ("filters", "files", "fires"),
    [
        ("{paths: ['model-config/training/**']}", ["model-config/training/gate.yaml"], True),
        ("{paths: ['model-config/training/**']}", ["README.md"], False),
        ("{paths: ['model-config/training/**']}", ["README.md", "model-config/training/x"], True),
        ("{paths: ['model-config/**', '!model-config/approvals/**']}", ["model-config/approvals/0001.yaml"], False),
        (
            "{paths: ['model-config/**', '!model-config/approvals/**']}",
            ["model-config/approvals/1", "model-config/a"],
            True,
        ),
        ("{paths: ['!docs/**']}", ["src/a"], False),
        ("{paths-ignore: ['docs/**']}", ["docs/a"], False),
        ("{paths-ignore: ['docs/**']}", ["docs/a", "src/a"], True),
        ("{branches: [dev], paths: ['**']}", ["a"], False),
        ("{paths: ['**']}", [], False),
    ],
)
def test_push_is_filtered_by_paths(filters: str, files: list[str], fires: bool) -> None:
    """One file is enough for `paths`; all must match for `paths-ignore`; branches apply as well."""
    assert triggers.starts(workflow(f"{{push: {filters}}}"), push("refs/heads/main", *files)) is fires


@pytest.mark.parametrize("filters", ["{paths: [src/**]}", "{paths-ignore: ['**']}"])
def test_push_of_more_than_1000_commits_ignores_paths(filters: str) -> None:
    """GitHub then computes no diff; branch filters still apply."""
    large = event("push", changed_files=("README.md",), diff_too_large=True)
    assert triggers.starts(workflow(f"{{push: {filters}}}"), large)
    assert not triggers.starts(workflow(f"{{push: {{branches: [dev], {filters[1:]}}}"), large)


@pytest.mark.parametrize(
    ("filters", "base", "action", "fires"),
    [
        ("", "main", "opened", True),
        ("", "main", "synchronize", True),
        ("", "main", "reopened", True),
        ("", "main", "closed", False),
        ("", "main", "labeled", False),
        ("{types: [closed]}", "main", "closed", True),
        ("{types: closed}", "main", "opened", False),
        ("{branches: [main]}", "dev", "opened", False),
        ("{branches: ['releases/**']}", "releases/1", "opened", True),
        ("{branches-ignore: [main]}", "main", "opened", False),
    ],
)
def test_pull_request_is_filtered_by_base_and_type(filters: str, base: str, action: str, fires: bool) -> None:
    """Default types are opened, synchronize and reopened; branches are base branches."""
    assert triggers.starts(workflow(f"{{pull_request: {filters}}}"), pull(base, action)) is fires


def test_pull_request_is_filtered_by_paths() -> None:
    """The changed files are those of the pull request."""
    found = workflow("{pull_request: {paths: ['infra/**']}}")
    assert triggers.starts(found, pull("main", "opened", "infra/platform.yaml"))
    assert not triggers.starts(found, pull("main", "opened", "README.md"))


def test_other_events_have_their_own_filters() -> None:
    """repository_dispatch has types, workflow_run names and branches, schedule its expression."""
    found = workflow("{repository_dispatch: {types: [retrain]}}")
    assert triggers.starts(found, event("repository_dispatch", action="retrain"))
    assert not triggers.starts(found, event("repository_dispatch", action="other"))
    found = workflow("{workflow_run: {workflows: [train], types: [completed], branches: [main]}}")
    run = {"name": "train", "head_branch": "main"}
    assert triggers.starts(found, event("workflow_run", action="completed", payload={"workflow_run": run}))
    assert not triggers.starts(found, event("workflow_run", action="requested", payload={"workflow_run": run}))
    other = {"name": "train", "head_branch": "dev"}
    assert not triggers.starts(found, event("workflow_run", action="completed", payload={"workflow_run": other}))
    found = workflow("{schedule: [{cron: '0 3 * * *'}]}")
    assert triggers.starts(found, event("schedule", payload={"schedule": "0 3 * * *"}))
    assert not triggers.starts(found, event("schedule", payload={"schedule": "0 4 * * *"}))


def test_ignored_events_start_nothing() -> None:
    """Events of a workflow token except dispatches, deleted refs and conflicting pull requests are ignored."""
    assert triggers.reason_to_ignore(event("push", from_workflow_token=True))
    assert triggers.reason_to_ignore(event("pull_request", action="opened", from_workflow_token=True))
    assert triggers.reason_to_ignore(event("workflow_dispatch", from_workflow_token=True)) is None
    assert triggers.reason_to_ignore(event("repository_dispatch", from_workflow_token=True)) is None
    assert triggers.reason_to_ignore(event("push", sha="0" * 40, payload={"deleted": True}))
    assert triggers.reason_to_ignore(event("pull_request", sha=""))
    assert triggers.reason_to_ignore(event("push")) is None


@pytest.mark.parametrize(
    ("message", "skips"),
    [
        ("Fix [skip ci]", True),
        ("[ci skip] fix", True),
        ("fix\n\nlong [no ci] text", True),
        ("[skip actions]", True),
        ("[actions skip]", True),
        ("fix\n\nwhy\n\nskip-checks: true\n", True),
        ("skip-checks:true", False),
        ("skip ci", False),
        ("fix", False),
    ],
)
def test_skip_markers_are_recognised(message: str, skips: bool) -> None:
    """GitHub has five markers and a trailer."""
    assert triggers.has_skip_marker(message) is skips


def test_filter_and_ignore_filter_exclude_each_other() -> None:
    """GitHub refuses such a file."""
    with pytest.raises(WorkflowInvalid, match="paths and paths-ignore"):
        triggers.starts(workflow("{push: {paths: [a], paths-ignore: [b]}}"), push())


@pytest.mark.parametrize(
    ("filters", "action", "fires"),
    [
        ("{branches: [main], types: [checks_requested]}", "checks_requested", True),
        ("{branches: [main]}", "checks_requested", True),
        ("{branches: [release]}", "checks_requested", False),
        ("{branches-ignore: [main]}", "checks_requested", False),
        ("{}", "destroyed", False),
    ],
)
def test_merge_group_is_filtered_by_its_base(filters: str, action: str, fires: bool) -> None:
    """Not by the branch of the queue; the end of a group starts nothing."""
    group = event(
        "merge_group",
        action=action,
        ref="refs/heads/gh-readonly-queue/main/pr-1-2",
        payload={"merge_group": {"base_ref": "refs/heads/main"}},
    )
    assert triggers.starts(workflow(f"{{merge_group: {filters}}}"), group) is fires
