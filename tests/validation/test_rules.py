"""`fraudops validate`: a violation of each rule of model-config/ gives its message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml import config
from ml.commands.validate import validate
from ml.errors import ConfigError
from tests.harness.git import changes
from tests.harness.git.changes import BOT_LOGIN, ChangedRepository

ROOT = Path(__file__).resolve().parents[2]
GATE = config.GATE.as_posix()
REQUEST = """\
kind: fit
cause: manual
reason: a new card product
window: {start: null, end: null}
evidence: {}
"""


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository with model-config/."""
    return changes.make(tmp_path, monkeypatch)


@pytest.fixture
def served(env: ChangedRepository) -> ChangedRepository:
    """The same after approval 1 was merged, with main checked out."""
    env.propose(env.record(1))
    env.merge("approve/0001")
    return env


def problems(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The problems that validate prints; it must fail."""
    with pytest.raises(ConfigError, match=r"problems? in model-config/, each named above"):
        validate(env.root, registry=False)
    return capsys.readouterr().err.splitlines()


def gate_failure(env: ChangedRepository) -> str:
    """A gate failure as YAML."""
    return config.dump(
        config.GateFailureRecord(
            kind="fit",
            commit="a" * 40,
            requests=(),
            verdict=config.Verdict(status="failed", reason="no"),
            evaluation_uri="s3://lake/evaluation.json",
            execution_arn="arn",
            created=env.record(1).created,
        )
    )


def test_committed_configuration_is_valid(env: ChangedRepository) -> None:
    """The template itself is valid, also as a pull request that changes nothing."""
    env.branch("docs", {"README.md": "# Other\n"})
    env.pull_request()
    assert validate(env.root, registry=False).files > 5
    assert "model-config is valid" in env.summary.read_text()


def test_pull_request_of_an_approval_is_valid(env: ChangedRepository) -> None:
    """The bot's record and pointer have no problems against main."""
    env.propose(env.record(1))
    env.pull_request(author=BOT_LOGIN)
    assert validate(env.root, registry=False).pull_request == 7


def test_pull_request_and_push_of_a_challenger_are_valid(served: ChangedRepository) -> None:
    """The second approval names the first as its champion; main is valid after a person's merge too."""
    first = config.load_approval(served.root, 1)
    champion = config.Champion(
        approval=1,
        model_package_arn=first.model_package_arn,
        artifact_sha256=first.artifact.sha256,
        comparison="compared",
        reason="better",
    )
    before = served.workspace.git("rev-parse", "main")
    served.propose(served.record(2, champion=champion))
    served.pull_request(author=BOT_LOGIN)
    validate(served.root, registry=False)
    served.merge("approve/0002")
    served.push(before)
    validate(served.root, registry=False)


def test_validate_reports_all_problems_with_their_lines(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value out of range, an unknown key, broken YAML and a file that nothing reads give four annotations."""
    gate = (env.root / GATE).read_text()
    env.branch(
        "broken",
        {
            GATE: config.set_values(gate, config.GATE, {"min_recall": 1.2}) + "surprise: 1\n",
            config.SERVING: "approval: [\n",
            "model-config/serving/shadow.yaml": "a: 1\n",
        },
    )
    env.pull_request()
    found = problems(env, capsys)
    line = next(i for i, text in enumerate(gate.splitlines(), 1) if text.startswith("min_recall"))
    assert len(found) == 4
    assert any(
        t.startswith(f"::error file={GATE},line={line}::") and "must be less than 1 (got 1.2)" in t for t in found
    )
    assert any("surprise is not a known key" in t for t in found)
    assert any(t.startswith(f"::error file={config.SERVING}") and "not valid YAML" in t for t in found)
    assert any("shadow.yaml: nothing reads this file" in t for t in found)
    assert "model-config is invalid" in env.summary.read_text()


def test_on_a_laptop_problems_are_plain_lines(
    env: ChangedRepository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line has file, line and text, and is no workflow command."""
    monkeypatch.delenv("GITHUB_ACTIONS")
    (env.root / GATE).write_text((env.root / GATE).read_text().replace("min_positives: 15 ", "min_positives: 0 "))
    found = problems(env, capsys)
    assert any(text.startswith(f"error: {GATE}:") and "min_positives must be at least 1" in text for text in found)


def test_pointer_without_a_record_is_refused(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """The serving pointer must name an existing approval record."""
    text = (env.root / config.SERVING).read_text().replace("approval: null", "approval: 3")
    env.branch("pointer", {config.SERVING: text})
    env.pull_request()
    (problem,) = problems(env, capsys)
    assert "approval 0003 has no record" in problem
    assert ",line=2::" in problem


@pytest.mark.parametrize("kind", ["edited", "deleted", "renamed"])
@pytest.mark.parametrize("folder", ["approvals", "retrain-requests", "gate-failures"])
def test_changes_of_append_only_records_are_problems(
    served: ChangedRepository, capsys: pytest.CaptureFixture[str], folder: str, kind: str
) -> None:
    """An edit, a deletion and a rename in any of the three folders are problems, also by the bot."""
    name = {
        "approvals": "0001",
        "retrain-requests": "20260301T060000Z-manual",
        "gate-failures": "20260301T060000Z-" + "a" * 12,
    }
    path = f"model-config/{folder}/{name[folder]}.yaml"
    texts = {
        "retrain-requests": REQUEST,
        "gate-failures": gate_failure(served),
    }
    if folder in texts:
        served.workspace.write({path: texts[folder]}, "Add")
    text = (served.root / path).read_text()
    other = path.replace("20260301", "20260302").replace("0001.yaml", "0009.yaml")
    files: dict[str | Path, str | None] = {
        "edited": {path: text + "# edited\n"},
        "deleted": {path: None},
        "renamed": {path: None, other: text},
    }[kind]  # type: ignore[assignment]  # the three are mappings of that kind
    served.branch("rewrite", files, author="fraudops[bot]")
    served.pull_request(author=BOT_LOGIN)
    found = problems(served, capsys)
    expected = "is edited" if kind == "edited" else "is deleted or renamed"
    assert any(expected in text and f"model-config/{folder}/ is append-only" in text for text in found), found


def test_revert_button_problem_names_rollback(served: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """Reverting the merge deletes the record and moves the pointer; the message has the rollback command."""
    first = config.load_approval(served.root, 1)
    champion = config.Champion(
        approval=1,
        model_package_arn=first.model_package_arn,
        artifact_sha256=first.artifact.sha256,
        comparison="compared",
        reason="better",
    )
    served.propose(served.record(2, champion=champion))
    served.merge("approve/0002")
    served.workspace.git("switch", "-q", "-c", "revert-2")
    served.workspace.git("revert", "--no-edit", "-m", "1", "HEAD")
    served.pull_request()
    found = problems(served, capsys)
    assert any("as GitHub's Revert button does;" in t and "`fraudops rollback --to 1 --propose`" in t for t in found)


def test_rollback_is_valid(served: ChangedRepository) -> None:
    """A person or the bot may move the pointer back."""
    first = config.load_approval(served.root, 1)
    champion = config.Champion(
        approval=1,
        model_package_arn=first.model_package_arn,
        artifact_sha256=first.artifact.sha256,
        comparison="compared",
        reason="better",
    )
    served.propose(served.record(2, champion=champion))
    served.merge("approve/0002")
    text = (served.root / config.SERVING).read_text().replace("approval: 2", "approval: 1")
    served.branch("rollback/0001", {config.SERVING: text})
    served.pull_request()
    validate(served.root, registry=False)


def test_approval_whose_champion_has_changed_is_superseded(
    served: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """The approval was compared with no model, but main serves approval 1."""
    served.propose(served.record(2))
    served.pull_request(author=BOT_LOGIN)
    (problem,) = problems(served, capsys)
    assert "is superseded: its model was compared with nothing, and main serves approval 0001 now" in problem
    main = served.repository.commit_of("main")
    assert re.search(rf" now \((origin/)?main at {main[:12]}[;)]", problem)


def test_person_may_not_write_approvals(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in a pull request of their own nor as commits on the bot's branch."""
    env.propose(env.record(1))
    env.pull_request(author="person")
    assert any("this pull request is by person, and only the bot" in text for text in problems(env, capsys))
    path = config.approval_path(1)
    env.branch("forged", {path: config.dump(env.record(1))})
    env.pull_request(author=BOT_LOGIN)
    assert any("is by A Person, and only the bot writes" in text for text in problems(env, capsys))


def test_push_of_a_person_to_the_bots_branch_is_a_problem(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pusher is checked, because anyone can set an author's name."""
    before = env.propose(env.record(1))
    path = env.root / config.approval_path(1)
    path.write_text(path.read_text().replace("threshold: 0.25", "threshold: 0.01"))
    env.workspace.git("commit", "-q", "-a", "-m", "Tamper", "--author", "fraudops[bot] <a@b>")
    after = env.workspace.git("rev-parse", "HEAD")
    env.pull_request(author=BOT_LOGIN, action="synchronize", before=before, after=after, sender={"login": "person"})
    assert any("person pushed a change of it to this branch" in text for text in problems(env, capsys))


def test_merging_main_into_the_bots_branch_is_valid(env: ChangedRepository) -> None:
    """The button "Update branch" pushes the bot's newer records on main in a person's name."""
    before = env.propose(env.record(1))
    env.workspace.git("switch", "-q", "main")
    path = config.GATE_FAILURES / f"20260301T060000Z-{'a' * 12}.yaml"
    env.workspace.write({path: gate_failure(env)}, "Record a gate failure")
    env.workspace.git("switch", "-q", "approve/0001")
    env.workspace.git("merge", "-q", "--no-ff", "-m", "Merge main into approve/0001", "main")
    after = env.workspace.git("rev-parse", "HEAD")
    env.pull_request(author=BOT_LOGIN, action="synchronize", before=before, after=after, sender={"login": "person"})
    validate(env.root, registry=False)


def test_bots_name_is_configurable(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an App opens the pull requests, its name is the bot's."""
    monkeypatch.setenv("FRAUDOPS_BOTS", "github-actions[bot] our-app[bot]")
    env.propose(env.record(1))
    env.pull_request(author="our-app[bot]")
    validate(env.root, registry=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"config_sha256": "0" * 64}, "config_sha256 must be that of commit"),
        ({"commit": "0" * 40}, "is not in this repository, so the model cannot be traced"),
        ({"requests": ("20260301T060000Z-nobody",)}, "names '20260301T060000Z-nobody'"),
        ({"verdict": config.Verdict(status="failed", reason="no")}, "verdict must be a model that passed the gate"),
    ],
)
def test_approval_that_contradicts_git_is_a_problem(
    env: ChangedRepository, capsys: pytest.CaptureFixture[str], changed: dict[str, object], message: str
) -> None:
    """The commit, the settings digest, the requests and the verdict are compared with Git."""
    env.propose(env.record(1, **changed))
    env.pull_request(author=BOT_LOGIN)
    assert any(message in text for text in problems(env, capsys))


def test_champion_digest_that_differs_from_its_record_is_a_problem(
    served: ChangedRepository, capsys: pytest.CaptureFixture[str]
) -> None:
    """The digest of the champion in a record must be that of the champion's own record."""
    champion = config.Champion(
        approval=1,
        model_package_arn=config.load_approval(served.root, 1).model_package_arn,
        artifact_sha256="f" * 64,
        comparison="compared",
        reason="better",
    )
    served.propose(served.record(2, champion=champion))
    served.pull_request(author=BOT_LOGIN)
    assert any("champion differs in package or digest from" in text for text in problems(served, capsys))


def test_symlinks_are_refused(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """A symlink may point to content that was not reviewed."""
    (env.root / GATE).unlink()
    (env.root / GATE).symlink_to("/etc/hostname")
    env.workspace.git("add", "-A")
    assert any("must be a file, not a link" in text for text in problems(env, capsys))


def test_force_push_of_main_is_a_problem(served: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """The former commits cannot be compared."""
    served.push("a" * 40, forced=True)
    assert any("main was force-pushed" in text for text in problems(served, capsys))


def test_untrusted_text_is_no_runner_command(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """A line break in a key stays within its annotation."""
    env.branch("evil", {GATE: '"x\\n::error::gotcha\\n": 1\n'})
    env.pull_request()
    found = problems(env, capsys)
    assert not [text for text in found if text.startswith("::error::gotcha")]


def test_drift_rules_are_validated(env: ChangedRepository, capsys: pytest.CaptureFixture[str]) -> None:
    """monitoring/drift.yaml is a known file and is parsed as strictly as the others."""
    text = config.set_values((env.root / config.DRIFT).read_text(), config.DRIFT, {"data.alpha": 2.0})
    env.branch("rules", {config.DRIFT.as_posix(): text})
    env.pull_request()
    (line,) = problems(env, capsys)
    assert "data.alpha must be less than 1 (got 2.0)" in line
