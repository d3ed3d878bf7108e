"""Jobs of a run: conditions, continue-on-error, matrices, contexts, tokens."""

from __future__ import annotations

import signal

import pytest
from actions_emulator import REPOSITORY, ActionsEmulator, wait_until
from local_github.actions.run_records import Run


def run_of(emulator: ActionsEmulator, jobs: str) -> Run:
    """Runs a workflow with these jobs to its end."""
    emulator.workflow(f"name: x\non: workflow_dispatch\njobs:\n{jobs}")
    run = emulator.dispatch()
    emulator.finished_runs()
    return run


@pytest.mark.parametrize("tolerate", ["true", "\"${{ github.ref_name == 'main' }}\""])
def test_tolerated_failure_is_success_for_dependents(emulator: ActionsEmulator, tolerate: str) -> None:
    """So says actions/runner#1161; the job itself is shown as failed, and the run succeeds."""
    run = run_of(
        emulator,
        f"""
  flaky: {{runs-on: ubuntu-latest, continue-on-error: {tolerate}, steps: [{{run: exit 1}}]}}
  after:
    needs: flaky
    runs-on: ubuntu-latest
    steps: [{{run: 'echo "flaky=${{{{ needs.flaky.result }}}}"'}}]
""",
    )
    assert (run.conclusion, run.results) == ("success", {"flaky": "failure", "after": "success"}), run.log
    assert "\nflaky=success\n" in run.job("after").log


def test_expression_that_does_not_tolerate_fails_the_run(emulator: ActionsEmulator) -> None:
    """continue-on-error is evaluated with the matrix of the job."""
    run = run_of(
        emulator,
        """
  build:
    strategy: {fail-fast: false, matrix: {v: [1, 2], include: [{v: 2, experimental: true}]}}
    continue-on-error: ${{ matrix.experimental == true }}
    runs-on: ubuntu-latest
    steps: [{run: exit 1}]
""",
    )
    assert run.conclusion == "failure"
    assert [job.tolerated for job in run.jobs] == [False, True]


def test_conditions_see_all_ancestors(emulator: ActionsEmulator) -> None:
    """success() is false after a skipped ancestor although the direct need succeeded; failure() sees it as well."""
    run = run_of(
        emulator,
        """
  skipped: {if: false, runs-on: ubuntu-latest, steps: [{run: "true"}]}
  failed: {runs-on: ubuntu-latest, steps: [{run: exit 1}]}
  middle: {needs: [skipped, failed], if: always(), runs-on: ubuntu-latest, steps: [{run: "true"}]}
  by-default: {needs: middle, runs-on: ubuntu-latest, steps: [{run: "true"}]}
  on-failure: {needs: middle, if: failure(), runs-on: ubuntu-latest, steps: [{run: "true"}]}
  by-result:
    needs: [middle, failed]
    if: ${{ !cancelled() && contains(needs.*.result, 'failure') }}
    runs-on: ubuntu-latest
    steps: [{run: 'echo "[${{ join(needs.*.result) }}]"'}]
""",
    )
    assert run.results == {
        "skipped": "skipped",
        "failed": "failure",
        "middle": "success",
        "by-default": "skipped",
        "on-failure": "success",
        "by-result": "success",
    }
    assert "[success,failure]" in run.job("by-result").log


def test_fail_fast_cancels_the_other_jobs_of_the_matrix(emulator: ActionsEmulator) -> None:
    """One in progress is stopped, and one that waits for a slot does not start."""
    mark = emulator.folder / "first"
    run = run_of(
        emulator,
        f"""
  fast:
    strategy: {{matrix: {{v: [1, 2, 3]}}}}
    runs-on: ubuntu-latest
    steps: [{{run: 'if mkdir {mark}; then sleep 0.5; exit 1; fi; sleep 60'}}]
""",
    )
    assert run.conclusion == "failure"
    assert sorted(run.results.values()) == ["cancelled", "cancelled", "failure"]
    assert sum(job.started is None for job in run.jobs) == 1


def test_max_parallel_limits_the_jobs_of_a_matrix(emulator: ActionsEmulator) -> None:
    """With one at a time, no two jobs overlap."""
    mark = emulator.folder / "running"
    run = run_of(
        emulator,
        f"""
  one:
    strategy: {{max-parallel: 1, matrix: {{v: [1, 2, 3]}}}}
    runs-on: ubuntu-latest
    steps: [{{run: 'mkdir {mark} && sleep 0.2 && rmdir {mark}'}}]
""",
    )
    assert run.conclusion == "success", run.log


def test_contexts_of_a_job_are_githubs(emulator: ActionsEmulator) -> None:
    """Steps see the members of github, strategy and runner that act leaves empty."""
    run = run_of(
        emulator,
        """
  build:
    strategy: {matrix: {os: [ubuntu-22.04, ubuntu-24.04], static: [false]}}
    runs-on: ${{ matrix.os }}
    steps:
      - env:
          A: ${{ github.repository_id }} ${{ github.repository_owner_id }} ${{ github.ref_type }}
          B: ${{ github.triggering_actor }} ${{ github.ref_protected }} ${{ runner.environment }}
          C: ${{ github.workflow_ref }} ${{ github.workflow_sha }}
          D: ${{ strategy.job-index }} ${{ strategy.job-total }} ${{ strategy.fail-fast }} ${{ strategy.max-parallel }}
        run: |
          echo "A=$A"
          echo "B=$B"
          echo "C=$C"
          echo "D=$D"
          echo "E=$GITHUB_REPOSITORY_ID $GITHUB_REF_PROTECTED $GITHUB_TRIGGERING_ACTOR $RUNNER_ENVIRONMENT"
""",
    )
    assert run.conclusion == "success", run.log
    record = emulator.github.state.named(REPOSITORY)
    assert run.results == {"build (ubuntu-22.04, false)": "success", "build (ubuntu-24.04, false)": "success"}
    assert [job.labels for job in run.jobs] == [("ubuntu-22.04",), ("ubuntu-24.04",)]
    for index, job in enumerate(run.jobs):
        lines = job.log.splitlines()
        assert f"A={record.id} {record.owner_id} branch" in lines
        assert "B=alice false github-hosted" in lines
        assert f"C={REPOSITORY}/.github/workflows/x.yml@refs/heads/main {run.commit}" in lines
        assert f"D={index} 2 true 2" in lines
        assert f"E={record.id} false alice github-hosted" in lines


def test_matrix_from_the_output_of_a_job(emulator: ActionsEmulator) -> None:
    """Outputs with quotes, braces and lines arrive unchanged; an unknown runner fails the job with its label."""
    run = run_of(
        emulator,
        """
  plan:
    runs-on: ubuntu-latest
    outputs: {list: "${{ steps.s.outputs.list }}", text: "${{ steps.s.outputs.text }}"}
    steps:
      - id: s
        run: |
          echo 'list=["ubuntu-latest", "windows-2025"]' >> "$GITHUB_OUTPUT"
          printf 'text<<END\\nit'"'"'s }} ${{ 1 }}\\nsecond\\nEND\\n' >> "$GITHUB_OUTPUT"
  use:
    needs: plan
    strategy: {fail-fast: false, matrix: {os: "${{ fromJSON(needs.plan.outputs.list) }}"}}
    name: Use ${{ matrix.os }}
    runs-on: ${{ matrix.os }}
    steps: [{env: {T: "${{ needs.plan.outputs.text }}"}, run: 'echo "[$T]"'}]
""",
    )
    assert run.results == {"plan": "success", "Use ubuntu-latest": "success", "Use windows-2025": "failure"}, run.log
    assert "[it's }} 1\nsecond]" in run.job("Use ubuntu-latest").log
    assert "job use: no runner has the label 'windows-2025'" in run.message
    assert run.job("Use windows-2025").annotations[0].level == "failure"


def test_each_job_has_a_token_with_its_own_permissions(emulator: ActionsEmulator) -> None:
    """A token is revoked with its job, and one without permissions may not write."""
    post = (
        'curl -s -o /dev/null -w "%{http_code}" -X POST -H "Authorization: Bearer ${{ github.token }}" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues" -d \\\'{"title":"t"}\\\''
    ).replace("\\'", "'")
    indented = post.replace("'", "''")
    run = run_of(
        emulator,
        f"""
  writes:
    permissions: {{issues: write}}
    runs-on: ubuntu-latest
    steps: [{{run: '{indented}'}}]
  reads:
    permissions: {{contents: read}}
    runs-on: ubuntu-latest
    steps: [{{run: '{indented}'}}]
""",
    )
    assert "201" in run.job("writes").log
    assert "403" in run.job("reads").log


def test_cancelled_job_runs_only_steps_that_ask_for_it(
    emulator: ActionsEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where act overlooks the signal, as it does if it is about to start the step."""
    emulator.workflow(
        "name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: 'echo started; sleep 60'\n      - run: echo next\n"
        "      - {if: always(), run: sleep 1; echo cleaned}\n"
    )
    monkeypatch.setattr(signal, "SIGINT", 0)  # which is sent, and does nothing
    run = emulator.dispatch()
    wait_until(lambda: any("started" in job.log for job in run.jobs))
    emulator.actions.cancel(run.id)
    emulator.finished_runs()
    assert run.results == {"one": "cancelled"}
    assert "cleaned" in run.log
    assert "next" not in run.log.replace("echo next", "")


def test_default_permissions_are_the_repositorys_setting(emulator: ActionsEmulator) -> None:
    """It applies only to workflows that set none."""
    post = (
        'curl -s -o /dev/null -w "code=%{http_code}" -X POST -H "Authorization: Bearer ${{ github.token }}" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues" -d "{\\"title\\":\\"t\\"}"'
    )
    job = f"  one:\n    runs-on: ubuntu-latest\n    steps:\n      - run: |\n          {post}\n"
    assert "code=403" in run_of(emulator, job).log
    path = f"/repos/{REPOSITORY}/actions/permissions/workflow"
    assert emulator.api("PUT", path, {"default_workflow_permissions": "write"})[0] == 204
    assert "code=201" in run_of(emulator, job).log
    assert "code=403" in run_of(emulator, job.replace("    runs-on", "    permissions: {}\n    runs-on")).log


def test_cancelled_matrix_of_a_cancelled_run(emulator: ActionsEmulator) -> None:
    """All its jobs are cancelled."""
    emulator.workflow(
        "name: x\non: workflow_dispatch\njobs:\n  one:\n    strategy: {matrix: {v: [1, 2, 3]}}\n"
        "    runs-on: ubuntu-latest\n    steps: [{run: 'echo started; sleep 60'}]\n"
    )
    run = emulator.dispatch()
    wait_until(lambda: any("started" in job.log for job in run.jobs))
    emulator.actions.cancel(run.id)
    emulator.finished_runs()
    assert run.results == dict.fromkeys(("one (1)", "one (2)", "one (3)"), "cancelled")
