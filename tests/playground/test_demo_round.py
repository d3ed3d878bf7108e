"""`FAST=1 make demo` on the emulators: from a commit to captured traffic, with no process left running."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import psutil
import pytest
from local_aws.authorization import usage

from ml.errors import GitError, Refused
from ml.playground import demo_round, simulated_year
from ml.playground.scripted_reviewer import LOGIN
from tests.harness.platform import job_images, permissions
from tests.harness.workflows import command_line
from tests.site.links import broken

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "recall",
    "recall_interval",
    "false_positive_rate",
    "average_precision",
    "frauds_in_test",
    "model_package_arn",
    "artifact_sha256",
    "approval",
    "commit",
    "endpoint",
    "captured_rows",
    "seconds",
}


def test_only_folders_of_a_demo_are_emptied(tmp_path: Path) -> None:
    """A folder with anything else in it, and one that holds the repository, are refused and unchanged."""
    mine = tmp_path / "thesis.txt"
    mine.write_text("two years")
    for out in (tmp_path, ROOT.parent):
        with pytest.raises(Refused, match="--out"):
            demo_round.run(ROOT, out=out, data=None, seed=0)
    assert mine.read_text() == "two years"


def test_unsuitable_repository_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shallow clone and a folder without history are refused with the remedy."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))  # `make permissions` keeps its files in the work tree
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(tmp_path / "shallow")], check=True)
    (tmp_path / "unpacked").mkdir()
    for name, words in (("shallow", "--unshallow"), ("unpacked", "clone it")):
        with pytest.raises(GitError, match=words):
            demo_round.run(tmp_path / name, out=tmp_path / "out", data=None, seed=0)
        with pytest.raises(GitError, match=words):
            simulated_year.run(tmp_path / name, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_commit_becomes_a_served_model(tmp_path: Path) -> None:
    """The demo exits with 0, recall ≥ 0.90, false-positive rate ≤ 1 % and all traffic captured.

    No call is denied; an action that no call uses is justified in its template or used by another test.
    """
    repository, out = tmp_path / "project", tmp_path / "demo"
    command_line.clone(repository)
    job_images.link_environment(repository)
    done = command_line.play(repository, "demo", "--out", out)
    summary = json.loads((out / "summary.json").read_text())
    assert set(summary) >= KEYS
    assert summary["recall"] >= 0.90
    assert summary["false_positive_rate"] <= 0.01
    assert summary["recall_interval"][0] < summary["recall"] < summary["recall_interval"][1]
    assert summary["captured_rows"] == 1000
    assert broken(out / "site") == []
    assert "Rollback to model" in (out / "site/timeline.html").read_text("utf-8")
    assert hashlib.sha256((out / "model.tar.gz").read_bytes()).hexdigest() == summary["artifact_sha256"]
    log = subprocess.run(
        ["git", "log", "--format=%H", "main"], cwd=out / "repository", capture_output=True, text=True, check=True
    ).stdout.split()
    assert {summary["commit"], summary["approval_commit"]} <= set(log)
    found = [(pull["state"], pull["approved_by"]) for pull in summary["pull_requests"]]
    assert found == [("merged", [LOGIN])] * 5
    assert done.stderr.count(f"production approved by {LOGIN}") == 3
    assert " ".join(done.stdout.split()).count(f"approved by {LOGIN}") == 5
    assert {run["conclusion"] for run in summary["runs"]} == {"success"}
    assert (out / "github/index.html").is_file()
    assert "From a commit to a served model" in done.stdout
    left = [
        process for process in psutil.process_iter(["cmdline"]) if str(out) in " ".join(process.info["cmdline"] or [])
    ]
    assert left == []
    report = usage.report(out / "cloud")
    assert permissions.denied(report) == {}
    assert permissions.redundant(report) == set()
    assert permissions.contradicted(report) == set()
    assert permissions.unjustified(report) == permissions.expected_of_others()
