"""Which workflows an event starts: GitHub's table of patterns, and `on:` in all its forms."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_github.actions import cron, filter_patterns, triggers
from local_github.actions.dispatch_inputs import DispatchRefused, resolve
from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse
from local_github.domain.events import Event

JOBS = "jobs: {job: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n"


def workflow(on: str) -> Workflow:
    """A workflow with that `on:`, in YAML."""
    return parse(f"on: {on}\n{JOBS}", ".github/workflows/x.yml")


def event(name: str, **more: Any) -> Event:
    """An event of acme/model on main, unless it says otherwise."""
    fixed: dict[str, Any] = {"ref": "refs/heads/main", "sha": "1" * 40, "payload": {}, "actor": "alice"}
    return Event(name=name, repository="acme/model", **(fixed | more))


def push(ref: str = "refs/heads/main", *files: str) -> Event:
    """A push that changed `files`."""
    return event("push", ref=ref, changed_files=files)


def pull(base: str = "main", action: str = "opened", *files: str) -> Event:
    """A pull request's event."""
    payload = {"pull_request": {"base": {"ref": base}}}
    return event("pull_request", ref="refs/pull/1/merge", action=action, payload=payload, changed_files=files)


# The examples of GitHub's "filter pattern cheat sheet", and for each pattern something that it must leave out.
@pytest.mark.parametrize(
    ("pattern", "chosen", "left"),
    [
        ("feature/*", ["feature/my-branch", "feature/your-branch"], ["feature/a/b", "feature"]),
        ("feature/**", ["feature/beta-a/my-branch", "feature/your-branch"], ["features/x"]),
        ("main", ["main"], ["main2", "x/main"]),
        ("*", ["main", "releases"], ["all/the/branches"]),
        ("**", ["all/the/branches", "every/tag"], []),
        ("*feature", ["mona-feature", "feature", "ver-10-feature"], ["feature-x", "a/feature"]),
        ("v2*", ["v2", "v2.0", "v2.9"], ["v1", "xv2"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1.1", "v1.x.0"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["page.jsxx", "a/page.js"]),
        ("*.js", ["app.js", "index.js"], ["src/js/app.js"]),
        ("**.js", ["index.js", "js/index.js", "src/js/app.js"], ["index.jsx"]),
        ("docs/*", ["docs/README.md", "docs/file.txt"], ["docs/a/b.md"]),
        ("docs/**", ["docs/README.md", "docs/mona/octocat.txt"], ["README.md"]),
        ("docs/**/*.md", ["docs/README.md", "docs/mona/hello-world.md", "docs/a/markdown/file.md"], ["docs/a.txt"]),
        ("**/docs/**", ["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"], ["mydocs/a"]),
        ("**/README.md", ["README.md", "js/README.md"], ["README.md.txt", "xREADME.md"]),
        ("**/*src/**", ["a/src/app.js", "my-src/code/js/app.js"], ["srcs/app.js"]),
        ("**/*-post.md", ["my-post.md", "path/their-post.md"], ["post.md"]),
        ("**/migrate-*.sql", ["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"], ["migrate.sql"]),
        ("a\\*b", ["a*b"], ["axb"]),
        ("**/*+", ["a", "x/y"], []),
    ],
)
def test_patterns_select_what_githubs_table_says(pattern: str, chosen: list[str], left: list[str]) -> None:
    """The whole name has to match, stars stop at slashes, ? and + repeat the character before."""
    assert [value for value in chosen if not filter_patterns.matches(pattern, value)] == []
    assert [value for value in left if filter_patterns.matches(pattern, value)] == []


def test_the_last_pattern_that_matches_decides() -> None:
    """`!` unselects what came before; nothing but `!` selects nothing."""
    assert filter_patterns.selected(["**", "!docs/**"], "src/a.py")
    assert not filter_patterns.selected(["**", "!docs/**"], "docs/a.md")
    assert filter_patterns.selected(["*.md", "!README.md", "README*"], "README.md")
    assert not filter_patterns.selected(["!docs/**"], "src/a.py")


NAMES = st.text(alphabet="ab/.-_", min_size=1, max_size=10)


@given(name=NAMES, other=NAMES)
def test_a_pattern_without_special_characters_selects_itself_alone(name: str, other: str) -> None:
    """Dots and dashes are only themselves."""
    assert filter_patterns.matches(name, other) == (name == other)


@given(parts=st.lists(st.sampled_from(["a", "b", ".", "/", "*", "**", "a?", "b+"]), max_size=6), name=NAMES)
def test_patterns_agree_with_an_independent_reading(parts: list[str], name: str) -> None:
    """Against a matcher that tries every way, character by character."""
    pattern = "".join(parts).replace("***", "*")
    if re.search(r"\*\*/|[*/.][?+]|\*{3,}", pattern):
        return  # these are in the table above
    assert filter_patterns.matches(pattern, name) == _every_way(pattern, name)


def _every_way(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern.startswith("**"):
        return any(_every_way(pattern[2:], name[n:]) for n in range(len(name) + 1))
    if pattern.startswith("*"):
        reach = name.find("/") if "/" in name else len(name)
        return any(_every_way(pattern[1:], name[n:]) for n in range(reach + 1))
    mark = pattern[1:2]
    if mark == "?":
        return _every_way(pattern[2:], name) or (name[:1] == pattern[0] and _every_way(pattern[2:], name[1:]))
    if mark == "+":
        more = name[:1] == pattern[0]
        return more and (_every_way(pattern[2:], name[1:]) or _every_way(pattern, name[1:]))
    return name[:1] == pattern[0] and _every_way(pattern[1:], name[1:])


@pytest.mark.parametrize("pattern", ["?a", "[a", "[]", "[_]"])
def test_a_pattern_that_github_would_refuse_is_refused(pattern: str) -> None:
    """With the pattern in the message."""
    with pytest.raises(WorkflowInvalid, match=re.escape(repr(pattern))):
        filter_patterns.matches(pattern, "a")


@pytest.mark.parametrize("on", ["push", "[push, fork]", "{push: }", "{push: {branches: main}}"])
def test_on_is_a_text_a_list_or_a_mapping(on: str) -> None:
    """And `on` is not YAML 1.1's true."""
    assert triggers.fires(workflow(on), push())
    assert not triggers.fires(workflow(on), event("issues", action="opened"))


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
def test_pushes_are_filtered_by_branch_and_tag(filters: str, ref: str, fires: bool) -> None:
    """A filter of one kind shuts out the other; paths are not looked at for tags."""
    assert triggers.fires(workflow(f"{{push: {filters}}}"), push(ref, "README.md")) is fires


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
def test_paths_are_filtered_by_every_changed_file(filters: str, files: list[str], fires: bool) -> None:
    """One file is enough for `paths`; all must be ignored for `paths-ignore`; branches count as well."""
    assert triggers.fires(workflow(f"{{push: {filters}}}"), push("refs/heads/main", *files)) is fires


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
def test_pull_requests_are_filtered_by_base_branch_and_type(filters: str, base: str, action: str, fires: bool) -> None:
    """Opened, synchronize and reopened unless types are named; branches are those that it goes into."""
    assert triggers.fires(workflow(f"{{pull_request: {filters}}}"), pull(base, action)) is fires


def test_pull_requests_are_filtered_by_the_files_they_change() -> None:
    """As pushes are."""
    found = workflow("{pull_request: {paths: ['infra/**']}}")
    assert triggers.fires(found, pull("main", "opened", "infra/platform.yaml"))
    assert not triggers.fires(found, pull("main", "opened", "README.md"))


def test_dispatches_runs_and_schedules_have_filters_of_their_own() -> None:
    """Types of repository_dispatch, names and branches of workflow_run, the line of a schedule."""
    found = workflow("{repository_dispatch: {types: [retrain]}}")
    assert triggers.fires(found, event("repository_dispatch", action="retrain"))
    assert not triggers.fires(found, event("repository_dispatch", action="other"))
    found = workflow("{workflow_run: {workflows: [train], types: [completed], branches: [main]}}")
    run = {"name": "train", "head_branch": "main"}
    assert triggers.fires(found, event("workflow_run", action="completed", payload={"workflow_run": run}))
    assert not triggers.fires(found, event("workflow_run", action="requested", payload={"workflow_run": run}))
    other = {"name": "train", "head_branch": "dev"}
    assert not triggers.fires(found, event("workflow_run", action="completed", payload={"workflow_run": other}))
    found = workflow("{schedule: [{cron: '0 3 * * *'}]}")
    assert triggers.fires(found, event("schedule", payload={"schedule": "0 3 * * *"}))
    assert not triggers.fires(found, event("schedule", payload={"schedule": "0 4 * * *"}))


def test_what_starts_nothing_starts_nothing() -> None:
    """A workflow's own token but for dispatches, a deleted ref, a pull request that conflicts."""
    assert triggers.starts_nothing(event("push", from_workflow_token=True))
    assert triggers.starts_nothing(event("pull_request", action="opened", from_workflow_token=True))
    assert triggers.starts_nothing(event("workflow_dispatch", from_workflow_token=True)) is None
    assert triggers.starts_nothing(event("repository_dispatch", from_workflow_token=True)) is None
    assert triggers.starts_nothing(event("push", sha="0" * 40, payload={"deleted": True}))
    assert triggers.starts_nothing(event("pull_request", sha=""))
    assert triggers.starts_nothing(event("push")) is None


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
def test_a_head_commit_may_ask_that_nothing_starts(message: str, skips: bool) -> None:
    """GitHub's five marks and its trailer."""
    assert triggers.skips(message) is skips


def test_a_filter_and_its_opposite_exclude_each_other() -> None:
    """As GitHub refuses the file."""
    with pytest.raises(WorkflowInvalid, match="paths and paths-ignore"):
        triggers.fires(workflow("{push: {paths: [a], paths-ignore: [b]}}"), push())


INPUTS = """{workflow_dispatch: {inputs: {
  reason: {type: string, required: true}, window: {type: choice, options: [month, year], default: year},
  dry-run: {type: boolean}, rows: {type: number, default: 5}, where: {type: environment}, note: }}}"""


def test_dispatch_inputs_get_their_defaults_as_text() -> None:
    """Booleans are false, choices their first option, texts empty, unless there is a default."""
    expected = {"reason": "x", "window": "year", "dry-run": "false", "rows": "5", "where": "", "note": ""}
    assert resolve(workflow(INPUTS), {"reason": "x"}) == expected
    given_all = {"reason": "$(touch x)", "window": "month", "dry-run": True, "rows": "1.5", "where": "production"}
    assert resolve(workflow(INPUTS), given_all) == {
        **expected,
        "reason": "$(touch x)",
        "window": "month",
        "dry-run": "true",
        "rows": "1.5",
        "where": "production",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Required input 'reason' not provided"),
        ({"reason": ""}, "Required input 'reason' not provided"),
        ({"reason": "x", "surprise": "1"}, 'Unexpected inputs provided: ["surprise"]'),
        (
            {"reason": "x", "window": "week"},
            "Provided value 'week' for input 'window' not in the list of allowed values",
        ),
        ({"reason": "x", "dry-run": "yes"}, "Provided value 'yes' for input 'dry-run' is not a boolean"),
        ({"reason": "x", "rows": "many"}, "Provided value 'many' for input 'rows' is not a number"),
        ({"reason": ["x"]}, "Invalid value for input 'reason': must be a string"),
    ],
)
def test_dispatch_inputs_that_break_what_is_declared_are_refused(given: dict[str, Any], message: str) -> None:
    """With GitHub's words, which its 422 carries."""
    with pytest.raises(DispatchRefused, match=re.escape(message)):
        resolve(workflow(INPUTS), given)


def test_a_workflow_without_the_trigger_takes_no_dispatch() -> None:
    """Whatever the inputs."""
    with pytest.raises(DispatchRefused, match="does not have 'workflow_dispatch' trigger"):
        resolve(workflow("push"), {})


@pytest.mark.parametrize(
    ("expression", "moment", "due"),
    [
        ("17 4 * * *", "2026-03-01T04:17", True),
        ("17 4 * * *", "2026-03-01T04:18", False),
        ("*/15 * * * *", "2026-03-01T04:45", True),
        ("5/20 * * * *", "2026-03-01T04:25", True),
        ("0 0 1 * *", "2026-03-02T00:00", False),
        ("0 0 * * MON-FRI", "2026-03-02T00:00", True),
        ("0 0 * * 0", "2026-03-01T00:00", True),
        ("0 0 13 * FRI", "2026-03-06T00:00", True),
        ("0 0 13 * FRI", "2026-03-13T00:00", True),
        ("0 0 13 * FRI", "2026-03-12T00:00", False),
        ("0 0 1 jan,MAR *", "2026-03-01T00:00", True),
    ],
)
def test_schedules_are_due_when_cron_says_so(expression: str, moment: str, due: bool) -> None:
    """POSIX's five fields in UTC; two restricted days are joined by or."""
    assert cron.due(expression, datetime.fromisoformat(moment).replace(tzinfo=UTC)) is due


@pytest.mark.parametrize(
    "expression",
    ["@daily", "* * * *", "60 * * * *", "* * 0 * *", "* * * * 7", "a * * * *", "5-1 * * * *", "*/0 * * * *"],
)
def test_schedules_that_github_refuses_are_refused(expression: str) -> None:
    """With what is wrong with them."""
    with pytest.raises(WorkflowInvalid, match="cron"):
        cron.due(expression, datetime(2026, 3, 1, tzinfo=UTC))


@given(moment=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)))
def test_every_minute_is_due_and_a_line_made_of_a_moment_is_due_at_it(moment: datetime) -> None:
    """Both ways of writing the day of the week agree with the calendar."""
    at = moment.replace(tzinfo=UTC)
    assert cron.due("* * * * *", at)
    assert cron.due(f"{at.minute} {at.hour} {at.day} {at.month} *", at)
    assert cron.due(f"{at.minute} {at.hour} * * {at.isoweekday() % 7}", at)
    assert cron.due(f"{at.minute} {at.hour} * * {at.strftime('%a')}", at)
