"""Parsing of workflow files."""

from __future__ import annotations

import pytest
from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse

PATH = ".github/workflows/x.yml"


def with_job(job: str, top: str = "") -> Workflow:
    """A workflow with one job with these keys."""
    return parse(
        f"name: x\non: push\n{top}\njobs:\n  one: {{runs-on: ubuntu-latest, steps: [{{run: a}}], {job}}}\n", PATH
    )


def test_token_permissions_are_the_union_of_the_jobs() -> None:
    """Job permissions replace those of the workflow; the default is to read contents and packages."""
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
        ("on: push\npermissions: {everything: write}\njobs: {a: {}}\n", "unknown permission: everything"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: a}], timeout-minutes: 0}}\n", "timeout-minutes"),
        ("on: push\nconcurrency: {group: g, queue: max}\njobs: {a: {runs-on: x, steps: [{run: a}]}}\n", "queue"),
        ("on: push\njobs: {'a b': {runs-on: x, steps: [{run: a}]}}\n", "id of letters"),
        ("[", "not YAML"),
        ("- a\n", "must be a mapping"),
    ],
)
def test_invalid_workflow_is_refused(text: str, message: str) -> None:
    """The message names the file and the problem."""
    with pytest.raises(WorkflowInvalid, match=message) as caught:
        parse(text, PATH)
    assert PATH in str(caught.value)
