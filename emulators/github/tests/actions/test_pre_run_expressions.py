"""Expressions that are evaluated before act runs."""

from __future__ import annotations

from typing import Any

import pytest
from local_github.actions import pre_run_expressions
from local_github.actions.workflow_file import WorkflowInvalid

CONTEXT: dict[str, Any] = {
    "github": {
        "ref": "refs/heads/main",
        "workflow": "Train",
        "event": {"pull_request": {"number": 7}, "labels": ["a", "b"]},
        "run_id": "9",
    },
    "inputs": {"dry-run": "true"},
    "vars": {"STACK": "model"},
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
        ("${{ format('{0}-{1}-{{x}}', vars.STACK, 3) }}", "model-3-{x}"),
        ("${{ contains(github.event.labels, 'B') }}", "true"),
        ("${{ (1 < 2) && 'it''s' }}", "it's"),
        ("${{ github.nothing.at.all }}", ""),
        ("${{ null == 0 }}", "true"),
    ],
)
def test_expressions_have_githubs_values(template: str, value: str) -> None:
    """Text is compared without case, missing members are empty, and || and && return operands."""
    assert pre_run_expressions.interpolate(template, CONTEXT) == value


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
def test_unsupported_expressions_are_refused(template: str) -> None:
    """An unsupported expression is an error and has no silent value."""
    with pytest.raises(WorkflowInvalid, match="cannot evaluate"):
        pre_run_expressions.interpolate(template, CONTEXT)
