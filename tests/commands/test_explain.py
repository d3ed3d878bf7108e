"""`fraudops explain` on a platform with an approved model, captured answers, labels and deployment records."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ml import clock, config
from ml.audit.disagreement import Disagreement
from ml.aws import deployment_records, registry, scored_rows
from ml.aws.labels import store
from ml.aws.session import Absent, client
from ml.cli import app
from ml.commands.explain import explain
from ml.commands.propose import propose
from ml.errors import CloudError, DataError, Refused
from ml.model import artifact
from ml.model.request_parser import RequestParser
from ml.steps import inference
from tests.harness.aws.deployments import finished
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform.kept_environment import KeptEnvironment
from tests.harness.platform.served import ENDPOINT

BUCKET, NOW = "lake", "2026-03-20T12:00:00Z"
THRESHOLD = {"policy": "fixed", "value": 0.5, "score": 0.5}
"""That of the harness's models."""
AT = datetime(2026, 3, 18, 10, 0, 30, 123456, tzinfo=UTC)
ROWS: list[dict[str, Any]] = [
    {"Time": 1.0, "V1": 0.25, "Amount": 5.0},
    {"Time": 40_000.0, "V1": 3.5, "Amount": 250.0, "event_id": "t/ä-7"},
]


def merge(bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> BotEnvironment:
    """Approval 0001 was reviewed, merged, and deployed on 1 March; it is 20 March."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-01T06:00:00Z")
    bot.approve(bot.register(-1.0, threshold=THRESHOLD))
    monkeypatch.setenv("FRAUDOPS_NOW", NOW)
    record_deployment(bot)
    return bot


@pytest.fixture(scope="module")
def kept(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptEnvironment]:
    """That environment, for the tests that change nothing on GitHub."""
    made = KeptEnvironment(server, tmp_path_factory.mktemp("merged"), merge)
    yield made
    made.close()


@pytest.fixture
def merged(kept: KeptEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
    """As `merge`."""
    with kept.use(tmp_path, monkeypatch) as bot:
        yield bot


def record_deployment(bot: BotEnvironment, **changes: Any) -> None:
    """Records the deployment of approval 0001."""
    record = config.load_approval(bot.root, 1)
    done = finished(1, "2026-03-01T07:00:00Z", artifact_sha256=record.artifact.sha256, artifact_uri=record.artifact.uri)
    deployment_records.record(BUCKET, dataclasses.replace(done, **changes))


def answered(bot: BotEnvironment, rows: list[dict[str, Any]], version: str = "0001") -> tuple[str, str]:
    """A request and the answer of approval 0001's model, scored by the endpoint's own handler."""
    content = client("s3").get_object(
        Bucket=BUCKET, Key=config.load_approval(bot.root, 1).artifact.uri.removeprefix(f"s3://{BUCKET}/")
    )
    scorer = artifact.read(content["Body"].read()).model
    model = inference.Model(scorer, RequestParser.of(scorer.document), version)
    body = json.dumps({"instances": rows})
    answer, _ = inference.score_request(model, body, "application/json", None)
    return body, answer.decode()


def capture(sent: str | None, said: str | None, *, at: datetime = AT, inference_id: str = "request-1") -> None:
    """Stores a captured line; with `sent` or `said` None that side was not captured."""
    sides = {"endpointInput": sent, "endpointOutput": said}
    data = {
        name: {
            "observedContentType": "application/json",
            "mode": "INPUT" if name == "endpointInput" else "OUTPUT",
            "data": base64.b64encode(text.encode()).decode() if name == "endpointInput" else text,
            "encoding": "BASE64" if name == "endpointInput" else "JSON",
        }
        for name, text in sides.items()
        if text is not None
    }
    metadata = {"eventId": "1", "inferenceId": inference_id, "inferenceTime": at.isoformat().replace("+00:00", "Z")}
    line = json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"})
    key = f"capture/{ENDPOINT}/AllTraffic/{at:%Y/%m/%d/%H}/{at:%M%S%f}.jsonl"
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=f"not JSON\n{line}\n".encode())


def label(event_id: str, value: int, known_at: datetime, channel: str) -> None:
    """Delivers one label."""
    columns = [pa.array([event_id]), pa.array([value], pa.int8()), pa.array([known_at], pa.timestamp("us", "UTC"))]
    store.deliver(BUCKET, pa.table([*columns, pa.array([channel])], schema=store.DELIVERED_SCHEMA))


def index(day: date, event_id: str) -> None:
    """Stores the index of a day with one event."""
    values = {"event_id": event_id, "day": day, "amount": 250.0, "decision": 1, "version": "0001", "pattern": ""}
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([values], schema=scored_rows.SCHEMA), content)
    key = f"monitoring/{ENDPOINT}/scored-rows/{day:%Y%m%d}.parquet"
    client("s3").put_object(Bucket=BUCKET, Key=key, Body=content.getvalue())


def test_decision_is_explained_by_the_archive(merged: BotEnvironment) -> None:
    """Score and terms are the archive's, to the last bit; labels, deployment, approval and merge are named."""
    capture(*answered(merged, ROWS))
    label("t/ä-7", 0, datetime(2026, 3, 18, 20, tzinfo=UTC), "analyst")
    label("t/ä-7", 1, datetime(2026, 3, 19, 20, tzinfo=UTC), "chargeback")
    label("t/ä-7", 1, datetime(2026, 3, 21, 20, tzinfo=UTC), "analyst")  # not known yet
    label("other", 0, datetime(2026, 3, 19, 21, tzinfo=UTC), "chargeback")
    found = explain(merged.root, "t/ä-7")
    assert (found.error, found.disagreements) == (None, ())
    assert (found.at, found.inference_id, found.row, found.rows) == (AT, "request-1", 1, 2)
    again = found.recomputed
    assert again is not None
    assert again.score == found.score
    assert (again.alert, found.decision) == (True, 1)
    (part,) = again.parts
    assert part.intercept + sum(term.log_odds for term in part.terms) == pytest.approx(part.log_odds)
    # The model is that of served.archive: (3.5 - 0.5) / 2 * 1.5, and the highest of three bins of amounts.
    terms = {(term.input, term.low, term.high): term for term in part.terms}
    assert terms["V1", None, None].log_odds == pytest.approx(2.25)
    assert (terms["Amount", 100.0, None].log_odds, terms["Amount", 100.0, None].value) == (0.3, 250.0)
    assert found.record == config.load_approval(merged.root, 1)
    assert (found.label, [each.channel for each in found.labels]) == (1, ["analyst", "chargeback"])
    assert [each.approval for each in found.deployments] == [1]
    assert found.origin is not None
    assert found.origin.commit == merged.workspace.repository.head()
    assert found.origin.pull is not None
    assert found.origin.pull.approved_by == ("bob",)


def test_pull_request_and_its_reviewers_are_named(bot: BotEnvironment) -> None:
    """They are those of the commit that brought the record to main, whichever author it has."""
    pull = propose(bot.root, outcome=bot.outcome(bot.register(-1.0, threshold=THRESHOLD))).pull_request or 0
    bot.review(pull)
    bot.merge(pull)
    record_deployment(bot)
    at = clock.now()
    capture(*answered(bot, ROWS), at=at)
    arguments = ["explain", "t/ä-7", "--repo", str(bot.root)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert f"{bot.hub.server.url}/acme/fraudops/pull/{pull} by github-actions[bot], merged by alice" in shown.output
    assert "approved by bob" in shown.output
    assert f"by commit {bot.tip('main')} of" in shown.output


def test_row_without_an_id_is_found_by_its_place(merged: BotEnvironment) -> None:
    """Its id is the request's and the row's place; of two answers on a day the last one is explained."""
    capture(*answered(merged, [{**ROWS[0], "V1": 1.0}, ROWS[0]]), at=AT.replace(hour=9))
    capture(*answered(merged, [ROWS[0], ROWS[1]]))
    found = explain(merged.root, "request-1#0", day=date(2026, 3, 18))
    assert (found.error, found.at, found.row, found.answers_of_the_day) == (None, AT, 0, 2)
    assert (found.label, found.labels) == (None, ())


def test_older_answer_is_found_through_the_index(merged: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day beyond the latest ones is read if the index of scored rows has the event, and needs --day otherwise."""
    capture(*answered(merged, ROWS))
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-06-20T12:00:00Z")
    with pytest.raises(DataError, match=r"t/ä-7: no captured answer .*\(no day\).*since 2026-05-21; give --day"):
        explain(merged.root, "t/ä-7")
    assert explain(merged.root, "t/ä-7", day=date(2026, 3, 18)).at == AT
    index(AT.date(), "t/ä-7")
    assert explain(merged.root, "t/ä-7").at == AT


def test_newest_answer_wins_over_a_day_without_index(merged: BotEnvironment) -> None:
    """An indexed day is newer than one that was never indexed."""
    newer = AT.replace(day=14)
    capture(*answered(merged, ROWS), at=AT.replace(day=5))
    capture(*answered(merged, ROWS), at=newer)
    index(newer.date(), "t/ä-7")
    assert explain(merged.root, "t/ä-7").at == newer


def test_day_whose_late_files_may_arrive_is_searched_itself(merged: BotEnvironment) -> None:
    """An index without the event proves nothing until no late file can change it; then it is trusted."""
    capture(*answered(merged, ROWS))
    index(AT.date(), "another")
    assert explain(merged.root, "t/ä-7").at == AT
    capture(*answered(merged, [{**ROWS[1], "event_id": "old"}]), at=AT.replace(day=14))
    index(date(2026, 3, 14), "another")
    with pytest.raises(DataError, match="old: no captured answer"):
        explain(merged.root, "old")


def test_refused_call_is_no_disagreement(merged: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS that does not answer about the package is an error of its own; an absent package is a disagreement."""
    capture(*answered(merged, ROWS))

    def refused(_: str) -> registry.Package:
        raise CloudError("DescribeModelPackage was refused with ThrottlingException")

    def absent(arn: str) -> registry.Package:
        raise Absent(f"there is no model package {arn}")

    monkeypatch.setattr(registry, "package", refused)
    with pytest.raises(CloudError, match="ThrottlingException"):
        explain(merged.root, "t/ä-7")
    monkeypatch.setattr(registry, "package", absent)
    (reason,) = explain(merged.root, "t/ä-7").disagreements
    assert reason.startswith("there is no model package")


def test_unknown_event_names_what_was_searched(merged: BotEnvironment) -> None:
    """The message says how ids are made; an answer that was an error is no answer."""
    capture(json.dumps({"instances": ROWS}), json.dumps({"error": {"status": 400}}))
    for day in (None, date(2026, 3, 18)):
        with pytest.raises(DataError, match=r"t/ä-7: no captured answer of fraudops-production .*<InferenceId>#<row>"):
            explain(merged.root, "t/ä-7", day=day)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (r'"score":0\.8\d+', '"score":0.25', r"the captured score is 0\.25, and the archive gives 0\.8"),
        ('"decision":1', '"decision":0', "the captured decision is no alert, and the archive gives an alert"),
    ],
)
def test_another_answer_than_the_archives_is_named(merged: BotEnvironment, old: str, new: str, reason: str) -> None:
    """The verb shows the explanation and ends with the error's code."""
    sent, said = answered(merged, ROWS)
    changed = re.sub(old, new, said)
    assert changed != said
    capture(sent, changed)
    found = explain(merged.root, "t/ä-7")
    assert isinstance(found.error, Disagreement)
    with pytest.raises(Disagreement, match=f"1 place disagrees: {reason}"):
        raise found.error


def test_replaced_archive_is_refused(merged: BotEnvironment) -> None:
    """Nothing is explained by a model that was not approved."""
    capture(*answered(merged, ROWS))
    uri = config.load_approval(merged.root, 1).artifact.uri
    client("s3").put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=b"another model")
    with pytest.raises(Refused, match=r"model\.tar\.gz has sha256 .* approved .*; find out who replaced it"):
        explain(merged.root, "t/ä-7")


def test_unapproved_version_is_refused(merged: BotEnvironment) -> None:
    """An answer states a version that no approval of main has."""
    capture(*answered(merged, ROWS, version="0007"))
    with pytest.raises(Refused, match="states model version '0007', and main has no approval of that number"):
        explain(merged.root, "t/ä-7")


def test_deployments_that_say_otherwise_are_named(merged: BotEnvironment) -> None:
    """Another model served then, or the same approval with another archive."""
    capture(*answered(merged, ROWS))
    record_deployment(merged, started="2026-03-10T07:00:00Z", finished="2026-03-10T07:00:00Z", artifact_sha256="0" * 64)
    (reason,) = explain(merged.root, "t/ä-7").disagreements
    assert reason.startswith(f"deploy/history/ says that approval 0001 was deployed with sha256 {'0' * 64}")
    deployment_records.record(BUCKET, finished(2, "2026-03-11T07:00:00Z"))
    (reason,) = explain(merged.root, "t/ä-7").disagreements
    assert reason == (
        "deploy/history/ says that approval 0002 served at 2026-03-18T10:00:30Z, and the answer states 0001"
    )


def test_replaced_evaluation_is_named(merged: BotEnvironment) -> None:
    """The decision is still explained: it does not depend on the evaluation."""
    capture(*answered(merged, ROWS))
    uri = config.load_approval(merged.root, 1).evaluation.uri
    client("s3").put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=b"{}")
    found = explain(merged.root, "t/ä-7")
    (reason,) = found.disagreements
    assert "is not the evaluation of" in reason
    assert found.recomputed is not None


def test_threshold_of_the_archive_decides(bot: BotEnvironment) -> None:
    """A record with another threshold than the archive's is named, though its evaluation has it too."""
    bot.approve(bot.register(-1.0, threshold=THRESHOLD | {"score": 0.75}))
    record_deployment(bot)
    capture(*answered(bot, ROWS), at=clock.now())
    found = explain(bot.root, "t/ä-7")
    assert found.disagreements == ("model-config/approvals/0001.yaml says threshold 0.75, and the archive has 0.5",)
    assert found.threshold == 0.5


def test_missing_inputs_are_a_data_error(merged: BotEnvironment) -> None:
    """If only answers are captured, the rest is shown and the score cannot be computed again."""
    capture(None, answered(merged, ROWS)[1])
    found = explain(merged.root, "t/ä-7")
    assert (found.recomputed, found.disagreements) == (None, ())
    assert isinstance(found.error, DataError)


def test_without_a_token_the_pull_request_is_not_read(merged: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The merge commit is named, and why the pull request is not."""
    capture(*answered(merged, ROWS))
    monkeypatch.delenv("GITHUB_TOKEN")
    found = explain(merged.root, "t/ä-7")
    assert found.error is None
    assert found.origin is not None
    assert found.origin.pull is None
    assert "GITHUB_TOKEN must be set" in found.origin.unread


def test_command_prints_a_table_or_json(merged: BotEnvironment) -> None:
    """Both have decision and reasons; an event's text is never markup."""
    rows = [{**ROWS[1], "event_id": "[red]7"}]
    capture(*answered(merged, rows))
    arguments = ["explain", "[red]7", "--repo", str(merged.root)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    for text in (
        "[red]7",
        "alert: score 0.8",
        "+2.250  3.5",
        "250 in 100 to ∞",
        "40000, hour 8 to 16",
        "none is known",
        "approved by bob",
    ):
        assert text in shown.output
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert (document["event_id"], document["decision"], document["at"]) == ("[red]7", 1, clock.stamp(AT))
    assert document["record"]["approval"] == 1
