"""Contexts that are written into the expressions of a job."""

from __future__ import annotations

from typing import Any

import pytest
from local_github.actions.expression_rewriter import missing_members, rewrite

CONTEXTS: dict[str, Any] = {
    "needs": {"a": {"result": "success", "outputs": {"x": "it's"}}, "b-c": {"result": "failure", "outputs": {}}},
    "strategy": {"job-index": 1, "job-total": 2, "fail-fast": True},
    "inputs": {"name": "n", "deep": None},
    "github": {"repository_id": "7", "ref_protected": False, "sha": "abc"},
    "runner": {"environment": "github-hosted"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a ${{ needs.a.outputs.x }} b", "a ${{ 'it''s' }} b"),
        ("${{ needs['b-c'].result == 'failure' }}", "${{ 'failure' == 'failure' }}"),
        ("${{ needs.b-c.outputs.none }}", "${{ null }}"),
        (
            "${{ contains(needs.*.result, 'failure') }}",
            """${{ contains(fromJSON('["success", "failure"]'), 'failure') }}""",
        ),
        ("${{ strategy.job-index }}/${{ strategy.job-total }}", "${{ 1 }}/${{ 2 }}"),
        ("${{ strategy.fail-fast }}", "${{ true }}"),
        ("${{ github.repository_id }} ${{ GITHUB.Ref_Protected }}", "${{ '7' }} ${{ false }}"),
        ("${{ github.sha }} ${{ github }}", "${{ github.sha }} ${{ github }}"),
        ("${{ github.event.inputs.name }}", "${{ github.event.inputs.name }}"),
        ("${{ runner.environment }} ${{ runner.os }}", "${{ 'github-hosted' }} ${{ runner.os }}"),
        (
            "${{ 'needs.a.result' }} ${{ steps.needs.outputs.x }}",
            "${{ 'needs.a.result' }} ${{ steps.needs.outputs.x }}",
        ),
        ("needs.a.result", "needs.a.result"),
        ("${{ toJSON(needs.a) }}", """${{ toJSON(fromJSON('{"result": "success", "outputs": {"x": "it''s"}}')) }}"""),
    ],
)
def test_known_contexts_become_literals(text: str, expected: str) -> None:
    """Text inside quotes, members of other contexts and text outside of expressions stay."""
    assert rewrite(text, CONTEXTS) == expected


def test_conditions_are_expressions_without_braces() -> None:
    """This is so in steps of every depth."""
    step = {"if": "needs.a.result == 'success' && always()", "env": {"A": "needs.a.result"}}
    assert rewrite([step], CONTEXTS) == [{"if": "'success' == 'success' && always()", "env": {"A": "needs.a.result"}}]
    assert rewrite({"if": True}, CONTEXTS) == {"if": True}


def test_missing_members_are_found() -> None:
    """In bare conditions, too; text inside quotes does not count."""
    steps = [
        {"if": "runner.environment == 'x'", "run": "${{ github.workflow_sha }} ${{ github['repository_id'] }}"},
        {"run": "${{ 'github.ref_type' }} github.ref_type ${{ strategy.job-total }} ${{ github.sha }}"},
    ]
    assert missing_members(steps) == [
        "github.repository_id",
        "github.workflow_sha",
        "runner.environment",
        "strategy.job-total",
    ]
