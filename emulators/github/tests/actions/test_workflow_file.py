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


def test_job_permissions_replace_those_of_the_workflow() -> None:
    """The default is to read contents and packages, unless the repository's setting says otherwise."""
    text = """
on: push
permissions: {}
jobs:
  a: {runs-on: ubuntu-latest, steps: [{run: a}], permissions: {contents: read, id-token: write}}
  b: {runs-on: ubuntu-latest, steps: [{run: a}], permissions: {contents: write, issues: none}}
  c: {runs-on: ubuntu-latest, steps: [{run: a}]}
"""
    found = parse(text, PATH)
    assert [dict(job.permissions) for job in found.jobs] == [
        {"contents": "read", "id-token": "write"},
        {"contents": "write"},
        {},
    ]
    assert not any(job.default_permissions for job in found.jobs)
    (default,) = with_job("").jobs
    assert (default.permissions, default.default_permissions) == ({"contents": "read", "packages": "read"}, True)
    read_all = with_job("", "permissions: read-all").jobs[0].permissions
    assert read_all["deployments"] == "read"
    assert "id-token" not in read_all


def test_scalars_follow_yaml_1_2() -> None:
    """YAML 1.1 would read `12:30` as 750, `010` as eight and `no` as false."""
    job = with_job("env: {time: 12:30, code: 010, octal: 0o10, off: no, rate: 1e3, half: .5, on: 2026-01-02}").jobs[0]
    assert job.raw["env"] == {
        "time": "12:30",
        "code": 10,
        "octal": 8,
        "off": "no",
        "rate": 1000.0,
        "half": 0.5,
        "on": "2026-01-02",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("on: push\n", "has no jobs"),
        ("jobs: {a: {}}\n", "has no `on`"),
        ("on: push\njobs: {a: {steps: [{run: a}]}}\n", "runs-on must name the runner"),
        ("on: push\njobs: {a: {runs-on: ubuntu-latest}}\n", "has no steps"),
        ("on: push\njobs: {a: {uses: ./.github/workflows/b.yml, steps: [{run: a}]}}\n", "reusable workflow and so has"),
        ("on: push\njobs: {a: {runs-on: x, steps: [{run: a}], needs: b}}\n", "needs the job 'b', which does not exist"),
        (
            "on: push\njobs:\n  a: {runs-on: x, steps: [{run: a}], needs: b}\n"
            "  b: {runs-on: x, steps: [{run: a}], needs: a}\n",
            "need each other in a circle: a, b",
        ),
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
