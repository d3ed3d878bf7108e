"""The routes of Actions, through gh, PyGithub and plain HTTP."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from actions_emulator import REPOSITORY, ActionsEmulator, wait_until
from github import Auth, Github
from local_github.client_environment import for_gh

WORKFLOW = """name: Train
on:
  workflow_dispatch: {inputs: {reason: {type: string, required: true}, sleep: {type: string, default: "0"}}}
jobs:
  one:
    name: Train it
    runs-on: ubuntu-latest
    steps:
      - name: Say
        env: {REASON: "${{ inputs.reason }}", SLEEP: "${{ inputs.sleep }}"}
        run: |
          echo "because $REASON"
          echo "::error file=gate.yaml,line=2::too low"
          mkdir out && echo data > out/a.txt
          echo "sleeps for $SLEEP"
          sleep "$SLEEP"
          test "$REASON" != fail || test "$GITHUB_RUN_ATTEMPT" = 2
      - uses: actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f
        with: {name: data, path: out/a.txt}
"""
MakeEmulator = Callable[..., ActionsEmulator]
RUNS = f"/repos/{REPOSITORY}/actions"


@pytest.fixture
def trained(emulator: ActionsEmulator) -> ActionsEmulator:
    """An emulator with the workflow Train."""
    emulator.workflow(WORKFLOW, name="train.yml")
    return emulator


def gh(emulator: ActionsEmulator, *arguments: str) -> str:
    """Runs gh with its own HOME and returns its output."""
    own = for_gh(emulator.github.url, emulator.token)
    process = subprocess.run(
        [str(Path(sys.executable).parent / "gh"), *arguments, "--repo", f"github.localhost/{REPOSITORY}"],
        cwd=emulator.folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(emulator.folder),
            "NO_COLOR": "1",
            "GH_PROMPT_DISABLED": "1",
            **own,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr + process.stdout
    return process.stdout


def test_gh_starts_lists_and_shows_runs(trained: ActionsEmulator) -> None:
    """gh workflow list and run, run list, view, watch and download work."""
    assert "Train" in gh(trained, "workflow", "list")
    gh(trained, "workflow", "run", "train.yml", "-f", "reason=a new month")
    run = trained.last_run()
    assert run.conclusion == "success", run.log
    listed = gh(trained, "run", "list", "--workflow", "train.yml", "--json", "databaseId,conclusion,workflowName")
    assert f'"databaseId":{run.id}' in listed
    assert '"conclusion":"success"' in listed
    shown = gh(trained, "run", "view", str(run.id))
    assert "Train it" in shown
    assert "too low" in shown
    assert "because a new month" in gh(trained, "run", "view", str(run.id), "--log")
    gh(trained, "run", "watch", str(run.id), "--exit-status")
    gh(trained, "run", "download", str(run.id), "--name", "data", "--dir", "got")
    assert (trained.folder / "got" / "a.txt").read_text() == "data\n"


@pytest.mark.parametrize("with_ids", [False, True])
def test_oidc_subject_setting_is_that_of_the_tokens(make_emulator: MakeEmulator, with_ids: bool) -> None:
    """The prefix names the repository as `sub` does, with ids or without."""
    emulator = make_emulator(with_ids=with_ids)
    client = Github(base_url=emulator.github.api_url, auth=Auth.Token(emulator.token))
    repository = client.get_repo(REPOSITORY)
    _, found = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/actions/oidc/customization/sub")
    named = f"acme@{repository.owner.id}/model@{repository.id}" if with_ids else REPOSITORY
    expected = {"use_default": True, "use_immutable_subject": with_ids, "sub_claim_prefix": f"repo:{named}"}
    assert {key: found[key] for key in expected} == expected  # PyGithub adds the address


def test_gh_cancels_and_reruns(trained: ActionsEmulator) -> None:
    """A re-run of failed jobs is the next attempt of the run."""
    run = trained.actions.dispatch(REPOSITORY, "train.yml", "main", {"reason": "x", "sleep": "60"}, actor="alice")
    wait_until(lambda: bool(run.jobs) and "sleeps for 60" in run.jobs[0].log)
    gh(trained, "run", "cancel", str(run.id))
    assert trained.last_run().conclusion == "cancelled"
    failed = trained.actions.dispatch(REPOSITORY, "train.yml", "main", {"reason": "fail"}, actor="alice")
    trained.finished_runs()
    assert failed.conclusion == "failure"
    assert "because fail" in gh(trained, "run", "view", str(failed.id), "--log-failed")
    gh(trained, "run", "rerun", str(failed.id), "--failed")
    trained.finished_runs()
    assert (failed.attempt, failed.conclusion) == (2, "success")
    gh(trained, "workflow", "disable", "train.yml")
    assert "disabled_manually" in gh(trained, "workflow", "list", "--all")
    gh(trained, "workflow", "enable", "train.yml")


def test_pygithub_dispatches_and_reads_runs(trained: ActionsEmulator) -> None:
    """Dispatch, runs, jobs, artifacts and check runs are read through PyGithub."""
    client = Github(base_url=trained.github.api_url, auth=Auth.Token(trained.token))
    repository = client.get_repo(REPOSITORY)
    workflow = repository.get_workflow("train.yml")
    assert workflow.name == "Train"
    assert workflow.create_dispatch("main", {"reason": "drift"})
    run_id = trained.last_run().id
    run = repository.get_workflow_run(run_id)
    assert (run.status, run.conclusion, run.event, run.head_branch) == (
        "completed",
        "success",
        "workflow_dispatch",
        "main",
    )
    assert [found.id for found in workflow.get_runs(branch="main", status="success")] == [run_id]
    assert list(workflow.get_runs(branch="side")) == []
    assert [(job.name, job.conclusion) for job in run.jobs()] == [("Train it", "success")]
    assert [artifact.name for artifact in run.get_artifacts()] == ["data"]
    assert [check.name for check in repository.get_commit(run.head_sha).get_check_runs()] == ["Train it"]
    client.close()


def test_dispatch_returns_204_or_the_run_details(trained: ActionsEmulator) -> None:
    """return_run_details returns the run's id; an unknown workflow is 404."""
    path = f"{RUNS}/workflows/train.yml/dispatches"
    assert trained.api("POST", path, {"ref": "main", "inputs": {"reason": "x"}}) == (204, b"")
    body = {"ref": "refs/heads/main", "inputs": {"reason": "y"}, "return_run_details": True}
    status, details = trained.api("POST", path, body)
    assert status == 200
    assert trained.actions.run(details["workflow_run_id"]).payload["inputs"]["reason"] == "y"
    trained.finished_runs()
    assert trained.api("GET", f"{RUNS}/runs/{details['workflow_run_id']}")[1]["conclusion"] == "success"
    assert trained.api("POST", f"{RUNS}/workflows/none.yml/dispatches", {"ref": "main"})[0] == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"ref": "main", "inputs": {}}, "Required input 'reason' not provided"),
        ({"ref": "main", "inputs": {"reason": "x", "other": "1"}}, 'Unexpected inputs provided: ["other"]'),
        ({"ref": "none", "inputs": {"reason": "x"}}, "No ref found for: none"),
        ({"inputs": {"reason": "x"}}, '"ref" wasn\'t supplied'),
    ],
)
def test_invalid_dispatch_is_422(trained: ActionsEmulator, body: dict[str, Any], message: str) -> None:
    """The message is GitHub's, and no run starts."""
    status, answer = trained.api("POST", f"{RUNS}/workflows/train.yml/dispatches", body)
    assert status == 422
    assert message in answer["message"]
    assert trained.actions.runs() == []


def test_dispatch_needs_actions_write(trained: ActionsEmulator) -> None:
    """A read-only token gets 403, a wrong token 401, an unknown id 404."""
    reader = trained.github.token("app[bot]", permissions={"actions": "read"}, repository=REPOSITORY)
    path = f"{RUNS}/workflows/train.yml/dispatches"
    assert trained.api("POST", path, {"ref": "main", "inputs": {"reason": "x"}}, token=reader)[0] == 403
    assert trained.api("POST", path, {"ref": "main", "inputs": {"reason": "x"}}, token="wrong")[0] == 401
    assert trained.api("GET", f"{RUNS}/runs", token=reader)[1]["total_count"] == 0
    assert trained.api("GET", f"{RUNS}/runs/1")[0] == 404
    assert trained.api("GET", f"{RUNS}/jobs/1")[0] == 404


def test_logs_are_served_as_archive_and_as_text(trained: ActionsEmulator) -> None:
    """The archive has a file per job and step with timestamps; earlier attempts keep their logs."""
    run = trained.actions.dispatch(REPOSITORY, "train.yml", "main", {"reason": "fail"}, actor="alice")
    trained.finished_runs()
    first = run.jobs[0].id
    trained.api("POST", f"{RUNS}/runs/{run.id}/rerun", {})
    trained.finished_runs()
    status, data = trained.api("GET", f"{RUNS}/runs/{run.id}/logs")
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        assert {"0_Train it.txt", "Train it/2_Say.txt"} <= set(names)
        line = archive.read("Train it/2_Say.txt").decode().splitlines()[2]
    assert line[4] == "-"
    assert line.endswith("Z because fail")
    status, text = trained.api("GET", f"{RUNS}/jobs/{first}/logs")
    assert b"because fail" in text
    assert trained.api("GET", f"{RUNS}/runs/{run.id}/attempts/1/jobs")[1]["jobs"][0]["conclusion"] == "failure"
    assert trained.api("GET", f"{RUNS}/runs/{run.id}/attempts/3/jobs")[0] == 404
    assert trained.api("GET", f"{RUNS}/runs/{run.id}/jobs?filter=all")[1]["total_count"] == 2
    notes = trained.api("GET", f"/repos/{REPOSITORY}/check-runs/{first}/annotations")[1]
    assert (notes[0]["path"], notes[0]["start_line"], notes[0]["message"]) == ("gate.yaml", 2, "too low")


def test_oidc_keys_are_public_and_request_tokens_end_with_the_run(trained: ActionsEmulator) -> None:
    """A token request after the run's end is 401."""
    services = f"{trained.github.url}/_services/oidc"
    with urlopen(f"{services}/.well-known/openid-configuration") as answer:  # noqa: S310 - loopback
        configuration = json.load(answer)
    assert configuration["issuer"] == "https://token.actions.githubusercontent.com"
    with urlopen(configuration["jwks_uri"]) as answer:  # noqa: S310 - loopback
        assert json.load(answer) == trained.actions.issuer.jwks()
    trained.actions.dispatch(REPOSITORY, "train.yml", "main", {"reason": "x"}, actor="alice")
    run = trained.last_run()
    with pytest.raises(HTTPError, match="401") as caught:
        urlopen(f"{services}/{run.id}/1/one")  # noqa: S310 - loopback
    caught.value.close()


def test_schedule_is_started_over_http(emulator: ActionsEmulator) -> None:
    """POST /local/schedule returns the ids of the started runs."""
    emulator.workflow(
        "name: Drift\non: {schedule: [{cron: '17 4 * * *'}]}\n"
        "jobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'true'}]}}\n",
        name="drift.yml",
    )
    status, answer = emulator.api("POST", f"/repos/{REPOSITORY}/local/schedule", {"cron": "17 4 * * *"})
    assert status == 200
    assert [run.id for run in emulator.finished_runs()] == answer["runs"]
