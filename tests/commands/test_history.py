"""`fraudops history`: two approvals and a rollback, by Git, lake, registry and GitHub; each forgery is named."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends
from typer.testing import CliRunner

from ml import config
from ml.audit.disagreement import Disagreement
from ml.aws import deployment_records, registry, s3_objects
from ml.aws.session import client
from ml.cli import app
from ml.commands.history import History, Served, history
from ml.commands.propose import propose
from ml.errors import CloudError
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform import serving_history, statements
from tests.harness.platform.serving_history import BACK, BUCKET, FIRST, REQUEST, SECOND


def moment(text: str) -> datetime:
    """A time of these tests."""
    return datetime.fromisoformat(text)


@pytest.fixture
def served(served_before: BotEnvironment) -> BotEnvironment:
    """Approval 1 served from 1 March on, 2 from 1 April, for a request, and 1 again from 10 April."""
    return served_before


@pytest.fixture
def played(bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> BotEnvironment:
    """The same for one test alone, which may change GitHub and the keys."""
    return serving_history.play(bot, monkeypatch)


def disagreements(found: History) -> list[str]:
    """All that disagree, in order, once each."""
    every = [*found.disagreements, *(text for turn in found.turns for text in turn.disagreements)]
    assert (found.error is None) == (not every)
    return list(dict.fromkeys(every))


def test_turns_have_times_data_people_and_reasons(served: BotEnvironment) -> None:
    """Each turn is from its first successful deployment to that of the next; all sources agree."""
    found = history(served.root)
    assert disagreements(found) == []
    first, second, third = found.turns
    assert [(turn.approval, turn.start, turn.end) for turn in found.turns] == [
        (1, moment("2026-03-01T07:00:00Z"), moment("2026-04-01T08:00:00Z")),
        (2, moment("2026-04-01T08:00:00Z"), moment("2026-04-10T07:00:00Z")),
        (1, moment("2026-04-10T07:00:00Z"), None),
    ]
    assert first.replaced == f"by 0002: {REQUEST} (V3 moved, see @alice and #1)"
    assert second.replaced.startswith("by a rollback to 0001: Merge pull request #3 from acme/rollback/0001 (")
    assert third.replaced == ""
    assert [each.status for each in second.deployments] == ["failed", "succeeded"]
    pulls = [turn.approved.pull for turn in found.turns]
    assert [pull and (pull.merged_by, pull.approved_by) for pull in pulls] == [("alice", ("bob",))] * 3
    assert [turn.approved.time for turn in found.turns] == [moment(each) for each in (FIRST, SECOND, BACK)]
    assert second.record == config.load_approval(served.root, 2)
    data = second.data
    assert data is not None
    assert (data.imports, data.label_files, data.files) == (("20260201-111111111111",), 1, 3)
    assert {turn.unchecked for turn in found.turns} == {()}


def test_successor_without_a_request_is_named_by_its_commit(played: BotEnvironment) -> None:
    """A pointer that was merged and is not deployed is said to be so; what served goes on."""
    trained = played.workspace.write({"README.md": "more\n"}, "Train with more")
    played.push()
    played.approve(played.register(3.0))
    *_, third, fourth = history(played.root).turns
    assert (third.end, fourth.start, fourth.replaced) == (None, None, "")
    assert third.replaced == (
        f"by 0003, which is not deployed: trained without a request, from {trained[:12]} (Train with more)"
    )


@pytest.mark.parametrize(
    ("at", "approvals"),
    [
        ("2026-03-01T06:59:59Z", []),
        ("2026-03-01T07:00:00Z", [1]),
        ("2026-04-01T07:30:00Z", [1]),
        ("2026-04-05T00:00:00Z", [2]),
        ("2027-01-01T00:00:00Z", [1]),
    ],
)
def test_at_a_time_one_turn_served(served: BotEnvironment, at: str, approvals: list[int]) -> None:
    """Between a merge and the end of its deployment the former model serves."""
    assert [turn.approval for turn in history(served.root, at=moment(at)).turns] == approvals


def test_forged_record_is_named(served: BotEnvironment) -> None:
    """A better recall was written into a record after its approval: Git and the registered evaluation say so."""
    path = config.approval_path(2)
    text = served.workspace.text(path)
    recall = config.load_approval(served.root, 2).metrics["recall"].value
    forged = text.replace(f"value: {recall}", "value: 0.99", 1)
    assert forged != text
    commit = served.workspace.write({path: forged}, "Correct a figure")
    found = history(served.root)
    changed, measured = disagreements(found)
    assert changed.startswith(f"{path} was changed by {commit[:12]} after ")
    assert f"{path} is not the record of " in measured
    assert f"metrics.recall.value is 0.99, and the registry has {recall}" in measured
    assert [bool(turn.disagreements) for turn in found.turns] == [False, True, False]
    with pytest.raises(Disagreement, match=r"2 places disagree: model-config/approvals/0002\.yaml was changed by"):
        raise found.error or AssertionError


def test_deleted_record_is_named(served: BotEnvironment) -> None:
    """A record that is gone from main leaves a turn that nothing explains."""
    path = config.approval_path(2)
    served.workspace.git("rm", "-q", str(path))
    served.workspace.git("commit", "-q", "-m", "Remove it")
    (missing,) = disagreements(history(served.root))
    assert missing.startswith(f"{path} is not on main, and commit ")


def test_deleted_package_is_named(served: BotEnvironment) -> None:
    """The registry no longer has what the record approves; the other turns are answered."""
    arn = config.load_approval(served.root, 1).model_package_arn
    del sagemaker_backends["123456789012"]["eu-west-1"].model_packages[arn]  # moto has no DeleteModelPackage
    found = history(served.root)
    (missing,) = disagreements(found)
    assert missing.startswith(f"there is no model package {arn} in this account's registry")
    assert [bool(turn.disagreements) for turn in found.turns] == [True, False, True]


def evaluation(turn: Served) -> str:
    """The URI of the evaluation."""
    assert turn.record is not None
    return turn.record.evaluation.uri


def archive(turn: Served) -> str:
    """The URI of the model's archive."""
    assert turn.record is not None
    return turn.record.artifact.uri


def listing(turn: Served) -> str:
    """The URI of the training set's listing."""
    assert turn.data is not None
    return f"s3://{BUCKET}/training-sets/{turn.data.sha256}/files.json"


def transactions(_turn: Served) -> str:
    """The URI of the imported transactions."""
    (key,) = (key for key in s3_objects.keys(BUCKET, "raw/") if key.endswith(".parquet"))
    return f"s3://{BUCKET}/{key}"


@pytest.mark.parametrize("place", [evaluation, archive, listing, transactions])
@pytest.mark.parametrize("gone", [False, True])
def test_rewritten_and_missing_objects_are_named(served: BotEnvironment, place: Any, gone: bool) -> None:
    """Each object that is evidence is compared by its digest."""
    uri = place(history(served.root).turns[1])
    bucket, key = s3_objects.split(uri)
    if gone:
        client("s3").delete_object(Bucket=bucket, Key=key)
    else:
        s3_objects.write(uri, b"[]", "application/json")
    found = disagreements(history(served.root, at=moment("2026-04-05T00:00:00Z")))
    assert len(found) == 1
    assert uri in found[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"approval": 2}, r"approval 0002 was deployed .* from commit \w{12}, where .*production.yaml names 0001"),
        ({"commit": "c" * 40}, "from commit cccccccccccc, which main does not have"),
        ({"artifact_sha256": "0" * 64}, f"says that sha256 {'0' * 64} was deployed .*0001.yaml says"),
    ],
)
def test_forged_deployment_is_named(served: BotEnvironment, change: dict[str, Any], reason: str) -> None:
    """A deployment record must be of a commit of main, and of what its pointer and record say."""
    prefix = deployment_records.HISTORY
    uri = f"s3://{BUCKET}/{max(s3_objects.keys(BUCKET, prefix))}"
    document = json.loads(s3_objects.read(uri)) | change
    s3_objects.write(uri, json.dumps(document).encode(), "application/json")
    found = history(served.root)
    assert isinstance(found.error, Disagreement)
    with pytest.raises(Disagreement, match=reason):
        raise found.error


def test_statements_of_provenance_are_verified(played: BotEnvironment) -> None:
    """The turn says whether there is one; a forged one is a disagreement of its turn, and without a key it is said."""
    assert [turn.signed for turn in history(played.root).turns] == [False, False, False]
    path, record = config.statement_path(2), config.load_approval(played.root, 2)
    key = statements.create_key()
    played.workspace.write({path: statements.signed(record, key).decode()}, "Sign it")
    found = history(played.root)
    assert ([turn.signed for turn in found.turns], disagreements(found)) == ([False, True, False], [])
    client("kms").delete_alias(AliasName="alias/fraudops-provenance")
    found = history(played.root)
    assert ([turn.signed for turn in found.turns], disagreements(found)) == ([False, None, False], [])
    (unread,) = found.turns[1].unchecked
    assert unread.startswith("the statement of provenance: the key alias/fraudops-provenance cannot be used: ")
    statements.create_key()
    found = history(played.root)
    (forged,) = disagreements(found)
    assert forged.startswith(f"{path} was not signed with alias/fraudops-provenance")
    assert [bool(turn.disagreements) for turn in found.turns] == [False, True, False]


def test_pull_request_and_reviewers_are_those_of_the_merge(bot: BotEnvironment) -> None:
    """A pointer that is merged and not deployed has no time; without a listing of its data it says so."""
    pull = bot.approve(bot.register(-1.0))
    found = history(bot.root)
    (turn,) = found.turns
    assert (turn.start, turn.replaced, turn.approved.commit) == (None, "", bot.tip("main"))
    assert turn.approved.pull is not None
    assert (turn.approved.pull.number, turn.approved.pull.approved_by) == (pull, ("bob",))
    (missing,) = disagreements(found)
    assert f"training-sets/{'d' * 64}/files.json: no such object" in missing


def test_merge_without_a_pull_request_or_a_review_is_named(played: BotEnvironment) -> None:
    """A pointer that a person pushed, and one that nobody reviewed."""
    number = propose(played.root, outcome=played.outcome(played.register(3.0))).pull_request or 0
    played.merge(number)
    played.env.approve(played.register(4.0))
    played.push()
    found = history(played.root)
    unreviewed, pushed = disagreements(found)
    assert unreviewed.startswith(f"#{number} was merged by alice without a review that approves ")
    assert pushed == f"commit {played.tip('main')[:12]} came to the branch without a pull request on GitHub"
    assert [bool(turn.disagreements) for turn in found.turns] == [False, False, False, True, True]


def test_command_prints_turns_and_its_exit_code(served: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub that cannot be asked is said and is no error; what disagrees ends with 13."""
    monkeypatch.delenv("GITHUB_TOKEN")
    arguments = ["history", "--repo", str(served.root)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert "approval 0001 served 2026-03-01T07:00:00Z to 2026-04-01T08:00:00Z" in lines
    assert "approval 0001 serves since 2026-04-10T07:00:00Z" in lines
    assert "deployment failed on 2026-04-01T07:00:00Z: it did not start" in lines
    assert any(line.startswith("not compared pull requests: GITHUB_TOKEN must be set") for line in lines)
    document = json.loads(CliRunner().invoke(app, [*arguments, "--at", "2026-04-05", "--json"]).stdout)
    assert [turn["approval"] for turn in document["turns"]] == [2]
    none = CliRunner().invoke(app, [*arguments, "--at", "2026-02-01"])
    assert "nothing served at 2026-02-01T00:00:00Z" in none.output
    s3_objects.write(evaluation(history(served.root).turns[1]), b"{}", "application/json")
    failed = CliRunner().invoke(app, arguments)
    assert isinstance(failed.exception, Disagreement)
    assert "disagrees" in failed.output


def test_refused_call_is_no_disagreement(served: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS that does not answer about a package is an error of its own."""

    def refused(_: str) -> registry.Package:
        raise CloudError("DescribeModelPackage was refused with ThrottlingException")

    monkeypatch.setattr(registry, "package", refused)
    with pytest.raises(CloudError, match="ThrottlingException"):
        history(served.root)
