"""What is read from a workflow file before anything runs, and what is worked out from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_github.actions import action_overrides, expressions
from local_github.actions.concurrency import Groups
from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse

PATH = ".github/workflows/x.yml"


def with_job(job: str, top: str = "") -> Workflow:
    """A workflow with one job of those lines."""
    return parse(
        f"name: x\non: push\n{top}\njobs:\n  one: {{runs-on: ubuntu-latest, steps: [{{run: a}}], {job}}}\n", PATH
    )


def with_steps(steps: str) -> Workflow:
    """A workflow with one job of those steps."""
    return parse(f"on: push\njobs: {{one: {{runs-on: ubuntu-latest, steps: [{steps}]}}}}\n", PATH)


def test_a_token_may_do_what_its_jobs_are_granted_together() -> None:
    """A job's own permissions replace the workflow's; without either, contents and packages may be read."""
    text = """
on: push
permissions: {}
jobs:
  a: {runs-on: ubuntu-latest, steps: [{run: a}], permissions: {contents: read, id-token: write}}
  b: {runs-on: ubuntu-latest, steps: [{run: a}], permissions: {contents: write, issues: none}}
  c: {runs-on: ubuntu-latest, steps: [{run: a}]}
"""
    found = parse(text, PATH)
    assert found.permissions() == {"contents": "write", "id-token": "write"}
    assert [dict(job.permissions) for job in found.jobs][2] == {}
    assert with_job("").permissions() == {"contents": "read", "packages": "read"}
    assert with_job("", "permissions: read-all").permissions()["deployments"] == "read"
    assert "id-token" not in with_job("", "permissions: read-all").permissions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("on: push\n", "has no jobs"),
        ("jobs: {a: {}}\n", "has no `on`"),
        ("on: push\njobs: {a: {steps: [{run: a}]}}\n", "runs-on must name the runner"),
        ("on: push\njobs: {a: {runs-on: ubuntu-latest}}\n", "has no steps"),
        ("on: push\njobs: {a: {uses: ./.github/workflows/b.yml}}\n", "reusable workflow"),
        ("on: push\npermissions: {everything: write}\njobs: {a: {}}\n", "no such permission: everything"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: a}], timeout-minutes: 0}}\n", "timeout-minutes"),
        ("on: push\nconcurrency: {group: g, queue: max}\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n", "queue"),
        ("on: push\njobs: {'a b': {runs-on: x, steps: [{run: a}]}}\n", "id of letters"),
        ("[", "not YAML"),
        ("- a\n", "must be a mapping"),
    ],
)
def test_a_file_that_would_not_run_is_refused_by_name(text: str, message: str) -> None:
    """The message names the file and what is wrong with it."""
    with pytest.raises(WorkflowInvalid, match=message) as caught:
        parse(text, PATH)
    assert PATH in str(caught.value)


CONTEXT: dict[str, Any] = {
    "github": {
        "ref": "refs/heads/main",
        "workflow": "Train",
        "event": {"pull_request": {"number": 7}, "labels": ["a", "b"]},
        "run_id": "9",
    },
    "inputs": {"dry-run": "true"},
    "vars": {"STACK": "fraudops"},
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("train", "train"),
        ("${{ github.workflow }}-${{ github.ref }}", "Train-refs/heads/main"),
        ("pr-${{ github.event.pull_request.number || github.run_id }}", "pr-7"),
        ("pr-${{ github.event.issue.number || github.run_id }}", "pr-9"),
        ("${{ github['ref'] == 'refs/heads/main' && 'a' || 'b' }}", "a"),
        ("${{ github.ref != 'REFS/heads/MAIN' }}", "false"),
        ("${{ inputs.dry-run == 'true' }}", "true"),
        ("${{ startsWith(github.ref, 'refs/heads/') && !contains(github.ref, 'x') }}", "true"),
        ("${{ format('{0}-{1}-{{x}}', vars.STACK, 3) }}", "fraudops-3-{x}"),
        ("${{ contains(github.event.labels, 'B') }}", "true"),
        ("${{ (1 < 2) && 'it''s' }}", "it's"),
        ("${{ github.nothing.at.all }}", ""),
        ("${{ null == 0 }}", "true"),
    ],
)
def test_expressions_before_a_run_have_githubs_values(template: str, value: str) -> None:
    """Text is compared without case, absent members are empty, || and && give operands."""
    assert expressions.interpolate(template, CONTEXT) == value


@pytest.mark.parametrize(
    "template",
    [
        "${{ secrets.X }}",
        "${{ hashFiles('a') }}",
        "${{ github.ref | 1 }}",
        "${{ a b }}",
        "${{ }}",
        "${{ github. }}",
        "${{ (github.ref }}",
    ],
)
def test_expressions_that_cannot_be_evaluated_are_refused(template: str) -> None:
    """No group is silently another one."""
    with pytest.raises(WorkflowInvalid, match="cannot evaluate"):
        expressions.interpolate(template, CONTEXT)


def test_a_group_has_one_that_goes_one_that_waits_and_the_newest_takes_the_waiting_place() -> None:
    """GitHub's own rule: what waited is cancelled, what goes is not."""
    groups, deploy = Groups(), [("deploy", False)]
    assert groups.enter(1, deploy) == ([], [])
    assert groups.take(1, deploy)
    assert groups.enter(2, deploy) == ([], [])
    assert not groups.take(2, deploy)
    assert groups.enter(3, deploy) == ([2], [])
    groups.leave(1)
    assert groups.take(3, deploy)


def test_cancel_in_progress_ends_what_goes_too() -> None:
    """And names of groups are compared without case."""
    groups = Groups()
    groups.enter(1, [("CI", True)])
    assert groups.take(1, [("CI", True)])
    assert groups.enter(2, [("ci", True)]) == ([], [1])
    assert not groups.take(2, [("ci", True)])
    groups.leave(1)
    assert groups.take(2, [("ci", True)])


def test_a_run_in_several_groups_goes_when_it_may_in_all() -> None:
    """It holds none of them meanwhile, so that nothing can wait for each other for ever."""
    groups = Groups()
    groups.enter(1, [("a", False)])
    assert groups.take(1, [("a", False)])
    groups.enter(2, [("a", False), ("b", False)])
    assert not groups.take(2, [("a", False), ("b", False)])
    groups.enter(3, [("b", False)])
    assert groups.take(3, [("b", False)])


@given(moves=st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["a", "b"]), st.booleans()), max_size=20))
def test_never_do_two_runs_of_one_group_go(moves: list[tuple[int, str, bool]]) -> None:
    """Whatever comes in whichever order."""
    groups, going, number = Groups(), dict[str, int](), 0
    for choice, name, cancel in moves:
        if choice == 1 and name in going:
            groups.leave(going.pop(name))
            continue
        number += 1
        replaced, ended = groups.enter(number, [(name, cancel)])
        assert len(replaced) <= 1
        assert set(ended) <= {going.get(name)}
        if groups.take(number, [(name, cancel)]):
            assert name not in going
            going[name] = number


def checkout_with(folder: Path, **files: str) -> Path:
    """A checkout with local actions: name → steps in YAML."""
    for name, steps in files.items():
        action = folder / ".github" / "actions" / name / "action.yml"
        action.parent.mkdir(parents=True)
        action.write_text(f"runs:\n  using: composite\n  steps: {steps}\n", "utf-8")
    return folder


def test_actions_are_found_however_deep_they_are_used(tmp_path: Path) -> None:
    """In the workflow, in the repository's own actions, and in those that these use; each version by itself."""
    folder = checkout_with(
        tmp_path,
        outer="[{uses: ./.github/actions/inner}, {uses: actions/setup-python@v7, with: {python-version: '3'}}]",
        inner="[{uses: actions/cache/restore@abc, with: {key: k, path: p}}, {uses: ./.github/actions/outer}]",
    )
    text = "{uses: actions/checkout@v7}, {uses: actions/checkout@3d3c42e5}, {uses: ./.github/actions/outer}"
    found = action_overrides.third_party(with_steps(text), folder)
    assert {f"{use.action}/{use.folder}@{use.ref}" for use in found} == {
        "actions/checkout/@v7",
        "actions/checkout/@3d3c42e5",
        "actions/setup-python/@v7",
        "actions/cache/restore@abc",
    }
    assert action_overrides.replacements(found) == {
        "actions/checkout@v7": action_overrides.STAND_INS / "actions/checkout",
        "actions/checkout@3d3c42e5": action_overrides.STAND_INS / "actions/checkout",
        "actions/setup-python@v7": action_overrides.STAND_INS / "actions/setup-python",
        "actions/cache@abc": action_overrides.STAND_INS / "actions/cache",
    }


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("{uses: acme/unknown@v1}", "job one: no local stand-in for acme/unknown@v1"),
        ("{uses: actions/cache/elsewhere@v1}", "no local stand-in for actions/cache/elsewhere@v1"),
        ("{uses: actions/checkout@v7, with: {submodules: true}}", "actions/checkout has no input submodules"),
        ("{uses: actions/checkout}", "neither"),
        ("{uses: 'docker://alpine'}", "neither"),
        ("{uses: ./.github/actions/none}", "has no action.yml"),
        ("{uses: ./../outside}", "outside the repository"),
    ],
)
def test_what_has_no_stand_in_is_refused_before_anything_runs(tmp_path: Path, steps: str, message: str) -> None:
    """The message says where it is used and what is missing."""
    with pytest.raises(WorkflowInvalid, match=message):
        action_overrides.replacements(action_overrides.third_party(with_steps(steps), tmp_path))
