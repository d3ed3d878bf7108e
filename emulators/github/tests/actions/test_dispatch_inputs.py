"""Inputs of workflow_dispatch: defaults and refusals."""

from __future__ import annotations

import re
from typing import Any

import pytest
from local_github.actions.dispatch_inputs import DispatchRefused, resolve
from local_github.actions.workflow_file import Workflow, parse

JOBS = "jobs: {job: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n"


def workflow(on: str) -> Workflow:
    """A workflow with this `on:` in YAML."""
    return parse(f"on: {on}\n{JOBS}", ".github/workflows/x.yml")


INPUTS = """{workflow_dispatch: {inputs: {
  reason: {type: string, required: true}, window: {type: choice, options: [month, year], default: year},
  dry-run: {type: boolean}, rows: {type: number, default: 5}, where: {type: environment}, note: }}}"""


def test_dispatch_inputs_have_defaults_as_text() -> None:
    """Without a default, booleans are false, choices the first option, other inputs empty."""
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
def test_invalid_dispatch_inputs_are_refused(given: dict[str, Any], message: str) -> None:
    """The message is that of GitHub's 422."""
    with pytest.raises(DispatchRefused, match=re.escape(message)):
        resolve(workflow(INPUTS), given)


def test_dispatch_needs_the_workflow_dispatch_trigger() -> None:
    """A workflow without the trigger refuses every dispatch."""
    with pytest.raises(DispatchRefused, match="does not have 'workflow_dispatch' trigger"):
        resolve(workflow("push"), {})
