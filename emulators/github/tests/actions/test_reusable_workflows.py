"""Jobs that call reusable workflows of the repository."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from actions_emulator import REPOSITORY, ActionsEmulator, one_job

CALLED = """
name: called
on:
  workflow_call:
    inputs:
      stage: {type: string, required: true}
      count: {type: number, default: 2}
      dry: {type: boolean}
    secrets:
      KEY: {required: true}
    outputs:
      made: {value: "${{ jobs.make.outputs.made }}"}
jobs:
  make:
    name: Make ${{ inputs.stage }}
    runs-on: ubuntu-latest
    outputs: {made: "${{ steps.s.outputs.made }}"}
    steps:
      - id: s
        env: {KEY: "${{ secrets.KEY }}", OTHER: "${{ secrets.OTHER }}"}
        run: |
          echo "made=${{ inputs.stage }}-${{ inputs.count }}-${{ inputs.dry }}" >> "$GITHUB_OUTPUT"
          echo "key=$(printf %s "$KEY" | rev) other=[$OTHER] event=$GITHUB_EVENT_NAME workflow=$GITHUB_WORKFLOW"
  check:
    needs: make
    runs-on: ubuntu-latest
    steps: [{run: 'echo "checked ${{ needs.make.outputs.made }}"'}]
"""
CALLER = """
name: x
on: workflow_dispatch
jobs:
  call:
    uses: ./.github/workflows/called.yml
    with: {stage: "${{ github.ref_name }}"}
    secrets: {KEY: "${{ secrets.MAIN_KEY }}"}
  after:
    needs: call
    runs-on: ubuntu-latest
    steps: [{run: 'echo "after ${{ needs.call.outputs.made }} ${{ needs.call.result }}"'}]
"""


def test_called_jobs_run_with_inputs_secrets_and_outputs(make_emulator: Any) -> None:
    """Their names start with the caller's; they see only the secrets that the caller passes."""
    emulator = make_emulator(secrets={"MAIN_KEY": "sesame", "OTHER": "hidden"})
    emulator.workflow(CALLED, name="called.yml")
    emulator.workflow(CALLER)
    run = emulator.dispatch()
    emulator.finished_runs()
    assert (run.conclusion, run.results) == (
        "success",
        {"call / Make main": "success", "call / check": "success", "after": "success"},
    ), run.log
    assert "key=emases other=[] event=workflow_dispatch workflow=x" in run.job("call / Make main").log
    assert "checked main-2-false" in run.job("call / check").log
    assert "after main-2-false success" in run.job("after").log


def test_failed_called_job_fails_the_call(emulator: ActionsEmulator) -> None:
    """Dependents are skipped; a call that is skipped is one skipped job."""
    emulator.workflow(
        "on: workflow_call\njobs: {bad: {runs-on: ubuntu-latest, steps: [{run: exit 1}]}}\n", name="called.yml"
    )
    emulator.workflow(
        "name: x\non: workflow_dispatch\njobs:\n"
        "  call: {uses: ./.github/workflows/called.yml}\n"
        "  after: {needs: call, runs-on: ubuntu-latest, steps: [{run: 'true'}]}\n"
        "  never: {if: false, uses: ./.github/workflows/called.yml}\n"
    )
    run = emulator.dispatch()
    emulator.finished_runs()
    assert run.results == {"call / bad": "failure", "after": "skipped", "never": "skipped"}
    assert run.conclusion == "failure"


def test_matrix_of_calls_inherits_secrets_and_caps_permissions(make_emulator: Any) -> None:
    """The called job's token has at most the caller's permissions; job_workflow_ref names the called file."""
    emulator = make_emulator(secrets={"KEY": "sesame"})
    ask = (
        'curl -sf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=x"'
    )
    post = (
        'curl -s -o /dev/null -w "code=%{http_code}" -X POST -H "Authorization: Bearer ${{ github.token }}" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues" -d "{\\"title\\":\\"t\\"}"'
    )
    called = one_job(
        f'{ask} | rev\necho "v=${{{{ inputs.v }}}} $(printf %s "${{{{ secrets.KEY }}}}" | rev)"\n{post}',
        on="{workflow_call: {inputs: {v: {type: number}}}}",
        job="    permissions: {id-token: write, issues: write}",
    )
    emulator.workflow(called, name="called.yml")
    emulator.workflow(
        "name: x\non: workflow_dispatch\njobs:\n  call:\n    strategy: {matrix: {v: [1, 2]}}\n"
        "    permissions: {id-token: write, contents: read}\n"
        "    uses: ./.github/workflows/called.yml\n    with: {v: '${{ matrix.v }}'}\n    secrets: inherit\n"
    )
    run = emulator.dispatch()
    emulator.finished_runs()
    assert run.results == {"call (1) / one": "success", "call (2) / one": "success"}, run.log
    for index, job in enumerate(run.jobs, start=1):
        assert f"v={index} emases" in job.log
        assert "code=403" in job.log
        line = next(line for line in job.log.splitlines() if line.startswith("}"))
        token = line[::-1].partition('"value":"')[2].partition('"')[0]
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["job_workflow_ref"] == f"{REPOSITORY}/.github/workflows/called.yml@refs/heads/main"
        assert claims["workflow_ref"] == f"{REPOSITORY}/.github/workflows/x.yml@refs/heads/main"


@pytest.mark.parametrize(
    ("call", "called", "message"),
    [
        ("uses: acme/other/.github/workflows/a.yml@v1", "", "of the same repository only"),
        ("uses: ./.github/workflows/none.yml", "", "called workflow .github/workflows/none.yml does not exist"),
        ("uses: ./.github/workflows/called.yml", "on: push", "called.yml has no on.workflow_call"),
        (
            "uses: ./.github/workflows/called.yml",
            "on: workflow_call\nconcurrency: x",
            "applies no concurrency inside reusable workflows",
        ),
    ],
)
def test_call_that_cannot_run_is_a_startup_failure(
    emulator: ActionsEmulator, call: str, called: str, message: str
) -> None:
    """The message names the call."""
    if called:
        emulator.workflow(
            f"{called}\njobs: {{a: {{runs-on: ubuntu-latest, steps: [{{run: a}}]}}}}\n", name="called.yml"
        )
    emulator.workflow(f"name: x\non: workflow_dispatch\njobs: {{one: {{{call}}}}}\n")
    run = emulator.dispatch()
    emulator.finished_runs()
    assert run.conclusion == "startup_failure"
    assert message in run.message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("with: {}", "with.stage is required"),
        ("with: {stage: a, other: b}", "with.other: the called workflow has no such input"),
        ("with: {stage: a, count: many}", "with.count must be a number (got 'many')"),
        ("with: {stage: a}", "secrets.KEY is required"),
        ("with: {stage: a}, secrets: {KEY: k, X: y}", "secrets.X: the called workflow has no such secret"),
    ],
)
def test_wrong_inputs_and_secrets_fail_the_job(emulator: ActionsEmulator, more: str, message: str) -> None:
    """They are checked when the call is due, because they may come from other jobs."""
    emulator.workflow(CALLED, name="called.yml")
    emulator.workflow(
        f"name: x\non: workflow_dispatch\njobs: {{one: {{uses: ./.github/workflows/called.yml, {more}}}}}\n"
    )
    run = emulator.dispatch()
    emulator.finished_runs()
    assert (run.conclusion, run.results) == ("failure", {"one": "failure"})
    assert message in run.message
