"""`fraudops plan`: the effects of a merge, escaping of people's text, and its one comment."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.commands import plan
from tests.harness.git import changes
from tests.harness.git.changes import BOT_LOGIN, ChangedRepository
from tests.harness.github.scripted import PREFIX, Script, answer, serving

GATE = config.GATE.as_posix()


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository with model-config/."""
    return changes.make(tmp_path, monkeypatch)


def plan_text(env: ChangedRepository) -> str:
    """The plan of a fork's pull request, which needs no request to GitHub; the step summary has the same text."""
    env.pull_request(fork=True)
    result = plan.plan(env.root)
    assert result.comment is None
    assert result.markdown in env.summary.read_text()
    return result.markdown


def test_documentation_does_nothing(env: ChangedRepository) -> None:
    """The plan says that no model is trained or deployed."""
    env.branch("docs", {"README.md": "# Other\n"})
    text = plan_text(env)
    assert "`ci.yml`" in text
    assert "No model is trained or deployed." in text
    assert "train.yml" not in text


def test_changed_gate_trains_and_shows_the_values(env: ChangedRepository) -> None:
    """The plan has the workflow, the key, and the old and new value."""
    text = (env.root / GATE).read_text().replace("confidence: 0.95", "confidence: 0.9")
    env.branch("gate", {GATE: text})
    shown = plan_text(env)
    assert "`train.yml` trains a model" in shown
    assert "| `challenger.confidence` | `0.95` | `0.9` |" in shown
    assert shown.count("challenger.") == 1


def test_changed_gate_is_tried_on_the_model_of_the_pointer(env: ChangedRepository) -> None:
    """By the figures of its record; a record without the counts of both rates says nothing."""
    rates = {
        "recall": config.Interval(value=0.9, low=0.8, high=0.95, count=36, of=40),
        "false_positive_rate": config.Interval(value=0.008, low=0.006, high=0.01, count=36, of=4320),
    }
    env.propose(env.record(1, metrics=rates))
    env.merge("approve/0001")
    text = (env.root / GATE).read_text()
    limit = config.load_gate(env.root).min_recall
    env.branch("gate", {GATE: text.replace(f"min_recall: {limit}", "min_recall: 0.97")})
    shown = plan_text(env)
    assert (
        "Approval 0001, at which `model-config/serving/production.yaml` points, **would not pass the new limits**, "
        "on its own test rows: recall"
    ) in shown
    assert "No pointer moves: a gate decides on new models." in shown


def test_approval_shows_both_models_side_by_side(env: ChangedRepository) -> None:
    """The plan names both approvals and compares their figures."""
    env.propose(env.record(1))
    env.merge("approve/0001")
    first = config.load_approval(env.root, 1)
    champion = config.Champion(
        approval=1,
        model_package_arn=first.model_package_arn,
        artifact_sha256=first.artifact.sha256,
        comparison="compared",
        reason="better on 20 frauds.",
    )
    better = {"recall": config.Interval(value=0.95, low=0.9, high=0.98, count=19, of=20)}
    env.propose(env.record(2, champion=champion, metrics=better))
    env.pull_request(author=BOT_LOGIN, fork=True)
    shown = plan.plan(env.root).markdown
    assert "**Approval 0002 serves** in place of approval 0001." in shown
    assert "| recall | 0.9 (0.8 to 0.95, 9 of 10) | 0.95 (0.9 to 0.98, 19 of 20) |" in shown
    assert "record: better on 20 frauds.\n" in shown
    warning = shown.index("Do not compare these columns: each is measured on its model's own test rows.")
    assert warning < shown.index("| on its own test rows |")
    assert "`deploy.yml` deploys" in shown
    assert "train.yml" not in shown
    assert "fraudops rollback" in shown


def test_changed_serving_settings_are_shown(env: ChangedRepository) -> None:
    """Each changed key is shown; the pointer is not among them."""
    text = (env.root / config.SERVING).read_text()
    env.branch("bigger", {config.SERVING: text.replace("count: 1", "count: 3").replace("100", "50")})
    shown = plan_text(env)
    assert "| `instance.count` | `1` | `3` |" in shown
    assert "| `capture.sampling_percentage` | `100` | `50` |" in shown
    assert "Approval" not in shown


def test_changed_drift_rules_are_shown_and_start_nothing(env: ChangedRepository) -> None:
    """A change that weakens the drift check is visible in the plan."""
    text = (env.root / config.DRIFT).read_text().replace("gate_failures: 3}", "gate_failures: 9}")
    env.branch("blind", {config.DRIFT: text})
    shown = plan_text(env)
    assert "| `circuit_breaker.gate_failures` | `3` | `9` |" in shown
    assert "the next drift check reads it" in shown
    assert "it starts a training" not in shown


def test_plan_of_a_removed_pointer_says_that_the_endpoint_keeps_serving(env: ChangedRepository) -> None:
    """approval: null deploys nothing and stops nothing."""
    env.propose(env.record(1))
    env.merge("approve/0001")
    text = (env.root / config.SERVING).read_text().replace("approval: 1", "approval: null")
    env.branch("stop", {config.SERVING: text})
    assert "the endpoint keeps serving its model" in plan_text(env)


def test_request_reason_is_escaped(env: ChangedRepository) -> None:
    """Markup, mentions and references in the reason have no effect."""
    text = (
        'kind: fit\ncause: manual\nreason: "fixes #1 @team <b>x</b> | [a](http://b.invalid)"\n'
        "window: {start: 2026-03-01T00:00:00Z, end: null}\nevidence: {}\n"
    )
    env.branch("ask", {config.REQUESTS / "20260301T060000Z-manual.yaml": text})
    shown = plan_text(env)
    assert "`20260301T060000Z-manual`" in shown
    assert "from 2026-03-01 00:00 to the last" in shown
    for live in ("#1", "@team", "<b>", "[a](", "http://"):
        assert live not in shown


def test_invalid_file_does_not_stop_the_plan(env: ChangedRepository) -> None:
    """`validate` reports the error; the plan shows the rest."""
    env.branch("broken", {GATE: "a: [\n", config.SERVING: "approval: yes please\n"})
    assert "train.yml" in plan_text(env)


def test_code_that_trains_is_named(env: ChangedRepository) -> None:
    """The change starts no training; the plan says that the next one uses it."""
    env.branch("code", {"ml/model/features.py": "x = 1\n"})
    assert "the next training uses it" in plan_text(env)


def test_symlink_out_of_the_repository_is_not_followed(env: ChangedRepository) -> None:
    """The plan is public, so it must not contain files from outside of the repository."""
    secret = env.folder / "secret"
    secret.write_text("token: hunter2\n")
    env.workspace.git("switch", "-q", "-c", "link")
    (env.root / GATE).unlink()
    (env.root / GATE).symlink_to(secret)
    env.workspace.git("add", "-A")
    env.workspace.git("commit", "-q", "-m", "Link")
    assert "hunter2" not in plan_text(env)


def test_second_plan_updates_the_comment(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The existing comment is edited, and its URL is returned."""
    env.branch("docs", {"README.md": "# Other\n"})
    env.pull_request()
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/fraud")
    written = {
        "id": 5,
        "html_url": "https://github.invalid/7#5",
        "body": "<!-- fraudops: plan -->\nold",
        "user": {"login": BOT_LOGIN, "type": "Bot"},
        "author_association": "NONE",
        "url": "",
    }
    script = Script()
    with serving(script):
        prefix = f"{script.url}{PREFIX}"
        written["url"] = f"{prefix}/issues/comments/5"
        # The script answers below /repos/o/r, so that is the repository here.
        monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
        payload_repository = env.folder / "event.json"
        payload_repository.write_text(payload_repository.read_text().replace("acme/fraud", "o/r"))
        monkeypatch.setenv("GITHUB_API_URL", prefix.removesuffix("/repos/o/r"))
        monkeypatch.setenv("GITHUB_TOKEN", "t")
        script.on("GET", "/issues/7", answer({"number": 7, "url": f"{prefix}/issues/7"}))
        script.on("GET", "/issues/7/comments", answer([written]))
        script.on("PATCH", "/issues/comments/5", answer(written))
        result = plan.plan(env.root)
    assert result.comment == "https://github.invalid/7#5"
    assert script.count("POST", "/issues/7/comments") == 0
    (body,) = [asked[2]["body"] for asked in script.asked if asked[0] == "PATCH"]
    assert body.startswith("<!-- fraudops: plan -->\n### What merging this does")
