"""Workflow runs by act: events, jobs, outputs, artifacts, environment, secrets, inputs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from actions_emulator import CHECKOUT, REPOSITORY, ActionsEmulator, one_job

MakeEmulator = Callable[..., ActionsEmulator]


def test_a_push_starts_the_workflows_that_listen_to_its_paths_and_no_other(emulator: ActionsEmulator) -> None:
    """A commit to a listed folder starts one; a commit to README starts nothing; a tag neither."""
    emulator.workflow(one_job("echo hello", on="{push: {branches: [main], paths: ['training/**']}}"))
    emulator.push({"README.md": "x"})
    emulator.git("tag", "v1")
    emulator.git("push", "--quiet", "origin", "v1")
    assert emulator.finished_runs() == []
    commit = emulator.push({"training/gate.yaml": "min: 1"}, "Raise the gate")
    run = emulator.last_run()
    assert (run.conclusion, run.results, run.title) == ("success", {"one": "success"}, "Raise the gate")
    assert (run.event, run.sha, run.branch, run.actor, run.number, run.attempt) == (
        "push",
        commit,
        "main",
        "alice",
        1,
        1,
    )
    assert "hello" in run.job("one").log
    assert [(step.name, step.conclusion) for step in run.jobs[0].steps] == [
        ("Set up job", "success"),
        ("do", "success"),
        ("Complete job", "success"),
    ]


def test_jobs_pass_outputs_and_artifacts_on_and_end_as_their_steps_do(emulator: ActionsEmulator) -> None:
    """needs, outputs, matrices, skipped jobs, continue-on-error, annotations, summaries."""
    emulator.workflow(
        f"""name: all
run-name: all of ${{{{ github.ref_name }}}}
on: workflow_dispatch
jobs:
  make:
    name: Make it
    runs-on: ubuntu-latest
    outputs: {{value: "${{{{ steps.set.outputs.value }}}}"}}
    steps:
      - uses: {CHECKOUT} # v7.0.1
        with: {{persist-credentials: false}}
      - id: set
        run: |
          echo "value=5" >> "$GITHUB_OUTPUT"
          echo "# Made" >> "$GITHUB_STEP_SUMMARY"
          mkdir -p out/deep && echo data > out/deep/a.txt && echo hidden > out/.secret
          echo "::warning file=a.py,line=3,title=Careful::mind the gap"
      - run: exit 3
        continue-on-error: true
      - uses: actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f
        with: {{name: data, path: out}}
  use:
    needs: make
    runs-on: ubuntu-latest
    strategy: {{fail-fast: false, matrix: {{v: [1, 2]}}}}
    steps:
      - uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c
        with: {{name: data, path: got}}
      - run: test "$(cat got/deep/a.txt)" = data && ! test -e got/.secret
      - run: test ${{{{ needs.make.outputs.value }}}} = 5
      - run: exit ${{{{ matrix.v == 2 && 1 || 0 }}}}
      - if: failure()
        run: echo "::error::second of the matrix"
  never:
    if: github.ref == 'refs/heads/other'
    runs-on: ubuntu-latest
    steps: [{{run: "true"}}]
  after:
    needs: use
    runs-on: ubuntu-latest
    steps: [{{run: "true"}}]
"""
    )
    emulator.dispatch()
    run = emulator.last_run()
    assert run.conclusion == "failure", run.log
    assert run.title == "all of main"
    assert run.results == {
        "Make it": "success",
        "use (1)": "success",
        "use (2)": "failure",
        "never": "skipped",
        "after": "skipped",
    }, run.log
    made = run.job("make")
    assert run.summary.strip() == "# Made"
    assert made.outputs["set"] == {"value": "5"}
    note = made.annotations[0]
    assert (note.level, note.message, note.path, note.line, note.title) == (
        "warning",
        "mind the gap",
        "a.py",
        3,
        "Careful",
    )
    assert made.steps[3].conclusion == "success"
    assert run.job("use (2)").annotations[0].message == "second of the matrix"
    assert (run.artifacts / "data" / "deep" / "a.txt").read_text() == "data\n"


def test_a_job_finds_githubs_variables_and_none_of_the_callers(
    make_emulator: MakeEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home of its own, no static AWS keys, nothing of the shell that started the server, no prompts."""
    monkeypatch.setenv("CALLERS_OWN", "leaked")
    emulator = make_emulator(
        environment={
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_SECRET_ACCESS_KEY": "s",
        },
        variables={"FRAUDOPS_REGION": "eu-central-1"},
    )
    emulator.workflow(
        one_job(
            'env | sort\necho "region=${{ vars.FRAUDOPS_REGION }}"\n'
            'echo "sha=${{ github.sha }} run=${{ github.run_id }}"'
        )
    )
    run = emulator.dispatch()
    emulator.finished_runs()
    log = run.job("one").log
    lines = log.splitlines()
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:1" in lines
    assert "AWS_ACCESS_KEY_ID" not in log
    assert "AWS_SECRET_ACCESS_KEY" not in log
    assert "CALLERS_OWN" not in log
    for line in (
        f"GITHUB_SERVER_URL={emulator.github.url}",
        f"GITHUB_API_URL={emulator.github.api_url}",
        f"GITHUB_GRAPHQL_URL={emulator.github.graphql_url}",
        f"GITHUB_REPOSITORY={REPOSITORY}",
        f"GITHUB_RUN_ID={run.id}",
        "GITHUB_RUN_NUMBER=1",
        "GITHUB_RUN_ATTEMPT=1",
        "GITHUB_REF=refs/heads/main",
        f"GITHUB_SHA={run.sha}",
        "GITHUB_ACTOR=alice",
        "GIT_TERMINAL_PROMPT=0",
        "region=eu-central-1",
        f"sha={run.sha} run={run.id}",
    ):
        assert line in lines
    home = next(line for line in lines if line.startswith("HOME="))
    assert home.startswith(f"HOME={run.folder}")


def test_files_that_act_reads_by_itself_have_no_say(emulator: ActionsEmulator) -> None:
    """.env, .secrets, .vars and .actrc of a repository are not configuration on GitHub, so nor here."""
    emulator.push({".env": "A=from-env", ".secrets": "S=from-secrets", ".vars": "V=from-vars", ".actrc": "--dryrun\n"})
    emulator.workflow(one_job('echo "[$A][${{ secrets.S }}][${{ vars.V }}]"'))
    emulator.dispatch()
    assert "[][][]" in emulator.last_run().job("one").log


def test_secrets_reach_steps_whole_and_are_masked_in_logs(make_emulator: MakeEmulator) -> None:
    """Several lines, quotes and dollars included; GITHUB_TOKEN as well."""
    value = "-----BEGIN KEY-----\na'b\"c$HOME\n-----END KEY-----"
    emulator = make_emulator(secrets={"APP_KEY": value, "PLAIN": "plainsecret"})
    text = one_job('printf %s "$KEY" | sha256sum\necho "token ${{ github.token }} plainsecret"')
    emulator.workflow(text.replace("        run: |", "        env: {KEY: '${{ secrets.APP_KEY }}'}\n        run: |"))
    emulator.dispatch()
    log = emulator.last_run().job("one").log
    import hashlib

    assert hashlib.sha256(value.encode()).hexdigest() in log
    assert "plainsecret" not in log
    assert "token *** ***" in log


def test_inputs_are_text_and_never_code(emulator: ActionsEmulator) -> None:
    """What a dispatch gives reaches a step through env as it is, and nothing of it runs."""
    on = "{workflow_dispatch: {inputs: {reason: {type: string, required: true}, dry: {type: boolean, default: true}}}}"
    text = one_job('echo "reason=[$REASON] dry=$DRY"\nls', on=on)
    emulator.workflow(
        text.replace(
            "        run: |", "        env: {REASON: '${{ inputs.reason }}', DRY: '${{ inputs.dry }}'}\n        run: |"
        )
    )
    reason = "\"; touch hacked; echo $(touch hacked2) `touch hacked3` ${HOME} 'x"
    emulator.dispatch(reason=reason)
    log = emulator.last_run().job("one").log
    assert f"reason=[{reason}] dry=true" in log
    assert "\nhacked" not in log


def test_inputs_have_their_types_in_names_and_groups_as_well(emulator: ActionsEmulator) -> None:
    """`false` is not true before the run, nor in it."""
    on = "{workflow_dispatch: {inputs: {dry: {type: boolean, default: false}}}}"
    top = "run-name: \"${{ inputs.dry && 'dry' || 'wet' }}\""
    emulator.workflow(one_job("echo \"${{ inputs.dry && 'dry' || 'wet' }}\"", on=on, top=top))
    for given, expected in (("true", "dry"), ("false", "wet")):
        run = emulator.dispatch(dry=given)
        emulator.finished_runs()
        assert run.title == expected
        assert f"\n{expected}\n" in run.log
