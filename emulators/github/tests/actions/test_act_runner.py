"""Workflow runs by act: events, jobs, outputs, artifacts, environment, secrets, inputs."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from actions_emulator import CHECKOUT, REPOSITORY, ActionsEmulator, one_job
from local_github.actions import act_runner

MakeEmulator = Callable[..., ActionsEmulator]


def test_push_starts_workflows_with_matching_paths(emulator: ActionsEmulator) -> None:
    """A commit to another path and a tag start nothing."""
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


def test_jobs_exchange_outputs_and_artifacts(emulator: ActionsEmulator) -> None:
    """needs, matrices, skipped jobs, continue-on-error, annotations and summaries have GitHub's results."""
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
      - run: mkdir "$RUNNER_TEMP/pages" && echo "<p>it drifted</p>" > "$RUNNER_TEMP/pages/report.html"
      - id: page
        uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a
        with: {{path: "${{{{ runner.temp }}}}/pages/report.html", archive: "false"}}
      - run: echo "link=${{{{ steps.page.outputs.artifact-url }}}}" >> "$GITHUB_OUTPUT"
        id: link
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
    job = run.job("make")
    assert run.summary.strip() == "# Made"
    assert job.outputs["set"] == {"value": "5"}
    note = job.annotations[0]
    assert (note.level, note.message, note.path, note.line, note.title) == (
        "warning",
        "mind the gap",
        "a.py",
        3,
        "Careful",
    )
    assert job.steps[3].conclusion == "success"
    assert run.job("use (2)").annotations[0].message == "second of the matrix"
    assert (run.artifacts / "data" / "deep" / "a.txt").read_text() == "data\n"
    with urllib.request.urlopen(job.outputs["link"]["link"], timeout=30) as page:  # noqa: S310 - the emulator's own address
        assert (page.read(), page.headers.get_content_type()) == (b"<p>it drifted</p>\n", "text/html")


def test_job_environment_is_githubs(make_emulator: MakeEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job has its own HOME, no static AWS keys and nothing of the server's environment."""
    monkeypatch.setenv("CALLERS_OWN", "leaked")
    emulator = make_emulator(
        environment={
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_SECRET_ACCESS_KEY": "s",
        },
        variables={"MODEL_REGION": "eu-central-1"},
    )
    emulator.workflow(
        one_job(
            'env | sort\necho "region=${{ vars.MODEL_REGION }}"\necho "sha=${{ github.sha }} run=${{ github.run_id }}"'
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


def test_configuration_files_of_act_are_ignored(emulator: ActionsEmulator) -> None:
    """.env, .secrets, .vars and .actrc of a repository have no effect, as on GitHub."""
    emulator.push({".env": "A=from-env", ".secrets": "S=from-secrets", ".vars": "V=from-vars", ".actrc": "--dryrun\n"})
    emulator.workflow(one_job('echo "[$A][${{ secrets.S }}][${{ vars.V }}]"'))
    emulator.dispatch()
    assert "[][][]" in emulator.last_run().job("one").log


def test_secrets_are_passed_and_masked(make_emulator: MakeEmulator) -> None:
    """Secrets with several lines, quotes and dollars are passed unchanged; logs mask them and GITHUB_TOKEN."""
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


def test_inputs_are_never_executed(emulator: ActionsEmulator) -> None:
    """An input that is passed through env reaches the step unchanged."""
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


def test_inputs_have_their_types_in_run_names(emulator: ActionsEmulator) -> None:
    """`false` is false in run-name and in steps."""
    on = "{workflow_dispatch: {inputs: {dry: {type: boolean, default: false}}}}"
    top = "run-name: \"${{ inputs.dry && 'dry' || 'wet' }}\""
    emulator.workflow(one_job("echo \"${{ inputs.dry && 'dry' || 'wet' }}\"", on=on, top=top))
    for given, expected in (("true", "dry"), ("false", "wet")):
        run = emulator.dispatch(dry=given)
        emulator.finished_runs()
        assert run.title == expected
        assert f"\n{expected}\n" in run.log


def test_blank_run_name_gives_githubs_default(emulator: ActionsEmulator) -> None:
    """As GitHub does: the workflow's name, where `run-name` is only whitespace."""
    on = "{workflow_dispatch: {inputs: {why: {type: string, default: ''}}}}"
    emulator.workflow(one_job("true", on=on, top='run-name: "${{ inputs.why }}"'))
    default = emulator.dispatch()
    named = emulator.dispatch(why="because")
    emulator.finished_runs()
    assert named.title == "because"
    assert default.title == default.workflow


def test_node_answers_acts_question_without_being_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is node's own, given once in a process; every other call is node's."""
    system = tmp_path / "it's here"
    system.mkdir()
    node = system / "node"
    node.write_text(f'#!/bin/sh\necho started >> "{tmp_path}/starts"\n[ "$1" = -v ] && echo "v20: $2" || echo "$0"\n')
    node.chmod(0o755)
    monkeypatch.setattr(act_runner, "_SYSTEM_PATH", (str(system), "/usr/bin", "/bin"))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/node").write_text("of an earlier process\n")
    for _ in range(2):
        path = act_runner.search_path(tmp_path / "tools")

    def answer(*arguments: str) -> str:
        found = subprocess.run(["node", *arguments], env={"PATH": path}, capture_output=True, text=True, check=True)
        return found.stdout

    assert [answer("--no-warnings", "-e", "console.log(process.execPath)") for _ in range(2)] == [f"{node}\n"] * 2
    assert (tmp_path / "starts").read_text() == "started\n"
    assert answer("-v", "one two") == "v20: one two\n"
