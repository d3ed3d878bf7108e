"""`fraudops validate` with a registry: a forged approval record is refused whatever author and event bring it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import oidc_credentials
from ml.commands.plan import plan
from ml.commands.validate import validate
from ml.errors import ConfigError, Refused
from ml.gitops.repository import BOT
from ml.records.package_proposal import propose_package
from tests.harness.git.changes import BOT_LOGIN
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A repository and a registry with one package, whose approval branch is checked out."""
    platform = served.on_moto(server, tmp_path, monkeypatch)
    propose_package(platform.workspace.repository, platform.register(-1.0))
    platform.workspace.git("switch", "-q", "approve/0001")
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/fraud")
    return platform


def event(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, payload: dict[str, Any]) -> None:
    """Sets the event of the workflow run."""
    path = folder / "event.json"
    path.write_text(json.dumps(payload))
    monkeypatch.setenv("GITHUB_EVENT_NAME", name)
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(path))


def pull_request(env: ServedPlatform, action: str, **changes: Any) -> dict[str, Any]:
    """The payload of an event of the bot's pull request."""
    head = {"ref": "approve/0001", "sha": env.workspace.git("rev-parse", "HEAD"), "repo": {"full_name": "acme/fraud"}}
    pull = {"number": 7, "user": {"login": BOT_LOGIN}, "head": head}
    return {"action": action, "pull_request": pull, "sender": {"login": BOT_LOGIN}, **changes}


def forge(env: ServedPlatform) -> None:
    """Commits a recall of 0.999 to the record under the bot's name."""
    path = env.root / config.approval_path(1)
    text = path.read_text()
    forged = text.replace("value: 0.9\n", "value: 0.999\n")
    assert forged != text
    path.write_text(forged)
    env.workspace.git("commit", "-q", "-a", "-m", "Record", "--author", f"{BOT.name} <{BOT.email}>")


EVASIONS = ["an empty second commit", "reopened", "dispatched without a number", "pushed to main"]


@pytest.mark.parametrize("evasion", EVASIONS)
def test_forged_record_is_refused(
    env: ServedPlatform,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    evasion: str,
) -> None:
    """The rules on authors and senders miss each of these; the comparison with the registry does not."""
    main = env.workspace.git("rev-parse", "main")
    forge(env)
    if evasion == "an empty second commit":
        before = env.workspace.git("rev-parse", "HEAD")
        env.workspace.git("commit", "-q", "--allow-empty", "-m", "Empty")
        after = env.workspace.git("rev-parse", "HEAD")
        payload = pull_request(env, "synchronize", before=before, after=after, sender={"login": "person"})
        event(monkeypatch, tmp_path, "pull_request", payload)
    elif evasion == "reopened":
        event(monkeypatch, tmp_path, "pull_request", pull_request(env, "reopened", sender={"login": "person"}))
    elif evasion == "dispatched without a number":
        event(monkeypatch, tmp_path, "workflow_dispatch", {"inputs": {}})
    else:
        env.workspace.git("switch", "-q", "main")
        env.workspace.git("merge", "-q", "--no-ff", "-m", "Merge", "approve/0001")
        event(monkeypatch, tmp_path, "push", {"before": main, "after": env.workspace.git("rev-parse", "HEAD")})
    assert validate(env.root, registry=False).records == ()  # Git alone cannot tell
    with pytest.raises(ConfigError, match=r"1 problem in model-config/"):
        validate(env.root, registry=True)
    assert "metrics.recall.value is 0.999, and the registry has 0.9" in capsys.readouterr().err


def test_honest_record_is_accepted(env: ServedPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result names the approvals whose records were compared."""
    event(monkeypatch, tmp_path, "pull_request", pull_request(env, "opened"))
    assert validate(env.root, registry=True).records == (1,)


def test_workflow_without_role_cannot_accept_a_record(
    env: ServedPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record that cannot be compared is a problem, which names the variable to set."""
    event(monkeypatch, tmp_path, "pull_request", pull_request(env, "opened"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in oidc_credentials.READ:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError):
        validate(env.root)
    assert "set the variable FRAUDOPS_ROLE_PLAN" in capsys.readouterr().err


def test_plan_says_first_that_a_record_is_forged(
    env: ServedPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan's first line warns, and the job fails."""
    forge(env)
    event(monkeypatch, tmp_path, "workflow_dispatch", {"inputs": {}})
    monkeypatch.setattr(oidc_credentials, "wanted", lambda: True)
    summary = tmp_path / "summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(Refused, match=r"metrics\.recall\.value is 0\.999"):
        plan(env.root)
    assert summary.read_text().startswith("**Do not merge: the record of approval 0001 is refused.**")
