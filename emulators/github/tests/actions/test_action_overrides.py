"""How actions and their overrides are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_github.actions import action_overrides
from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse

PATH = ".github/workflows/x.yml"


def with_steps(steps: str) -> Workflow:
    """A workflow with one job with these steps."""
    return parse(f"on: push\njobs: {{one: {{runs-on: ubuntu-latest, steps: [{steps}]}}}}\n", PATH)


def checkout_with(folder: Path, **files: str) -> Path:
    """Creates a checkout with local actions; `files` maps their names to steps in YAML."""
    for name, steps in files.items():
        action = folder / ".github" / "actions" / name / "action.yml"
        action.parent.mkdir(parents=True)
        action.write_text(f"runs:\n  using: composite\n  steps: {steps}\n", "utf-8")
    return folder


def test_action_uses_are_found_in_nested_local_actions(tmp_path: Path) -> None:
    """Uses in the workflow, in local actions and in actions that these use are found, each version separately."""
    folder = checkout_with(
        tmp_path,
        outer="[{uses: ./.github/actions/inner}, {uses: actions/setup-python@v7, with: {python-version: '3'}}]",
        inner="[{uses: actions/cache/restore@abc, with: {key: k, path: p}}, {uses: ./.github/actions/outer}]",
    )
    text = "{uses: actions/checkout@v7}, {uses: actions/checkout@3d3c42e5}, {uses: ./.github/actions/outer}"
    found = action_overrides.find_action_uses(with_steps(text), folder)
    assert {f"{use.action}/{use.folder}@{use.ref}" for use in found} == {
        "actions/checkout/@v7",
        "actions/checkout/@3d3c42e5",
        "actions/setup-python/@v7",
        "actions/cache/restore@abc",
    }
    assert action_overrides.resolve_overrides(found) == {
        "actions/checkout@v7": action_overrides.OVERRIDES / "actions/checkout",
        "actions/checkout@3d3c42e5": action_overrides.OVERRIDES / "actions/checkout",
        "actions/setup-python@v7": action_overrides.OVERRIDES / "actions/setup-python",
        "actions/cache@abc": action_overrides.OVERRIDES / "actions/cache",
    }


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("{uses: acme/unknown@v1}", "job one: no action override for acme/unknown@v1"),
        ("{uses: actions/cache/elsewhere@v1}", "no action override for actions/cache/elsewhere@v1"),
        ("{uses: actions/checkout@v7, with: {submodules: true}}", "actions/checkout has no input submodules"),
        ("{uses: actions/checkout}", "neither"),
        ("{uses: 'docker://alpine'}", "neither"),
        ("{uses: ./.github/actions/none}", "has no action.yml"),
        ("{uses: ./../outside}", "outside the repository"),
    ],
)
def test_action_without_override_is_refused(tmp_path: Path, steps: str, message: str) -> None:
    """The message names the place and the missing override or input."""
    with pytest.raises(WorkflowInvalid, match=message):
        action_overrides.resolve_overrides(action_overrides.find_action_uses(with_steps(steps), tmp_path))


def test_local_action_that_reads_what_act_leaves_empty_is_refused(tmp_path: Path) -> None:
    """Expressions of workflow files get the values; those of an action's own file are read by act."""
    folder = checkout_with(tmp_path, ids="[{run: 'echo ${{ github.repository_id }} ${{ github.repository }}'}]")
    with pytest.raises(WorkflowInvalid, match=r"leaves github\.repository_id empty in local actions"):
        action_overrides.find_action_uses(with_steps("{uses: ./.github/actions/ids}"), folder)
