"""Copies of requests are sent once, and their answers kept, whatever ends the run."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from ml.aws import endpoint
from ml.aws.capture.captured_requests import CapturedRequest, CapturedRow
from ml.aws.endpoint import Reply
from ml.aws.shadow_store import CopyAnswer, ShadowStore
from ml.errors import CloudError, FraudopsError, Refused
from ml.release import shadow_scoring
from tests.harness.aws import moto_server
from tests.harness.aws.deployments import finished

ROW = CapturedRow(event_id="e", amount=1.0, score=0.5, decision=1)


class Challenger:
    """Staging's endpoint: replies by the body of a request, the request of body `stop` with an error."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None, str]] = []
        self.replies: dict[str, Reply | Exception] = {}
        self._lock = threading.Lock()

    def send(self, name: str, body: str, content_type: str | None, *, inference_id: str) -> Reply:
        """The reply of the body, by default one row of 0.25."""
        assert name == "staged"
        with self._lock:
            self.sent.append((body, content_type, inference_id))
        reply = self.replies.get(body) or answer("0007")
        if isinstance(reply, Exception):
            raise reply
        return reply


def answer(version: str, *scores: float) -> Reply:
    """A reply with these scores, by default one."""
    rows = [{"score": score, "decision": 0, "model_version": version} for score in scores or (0.25,)]
    return Reply(status=200, body=json.dumps({"predictions": rows}))


@pytest.fixture
def challenger(monkeypatch: pytest.MonkeyPatch) -> Challenger:
    """In place of the endpoint."""
    made = Challenger()
    monkeypatch.setattr(endpoint, "send", made.send)
    return made


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch) -> ShadowStore:
    """An empty store."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")
    return ShadowStore("lake", finished(7, "2026-03-01T12:00:00Z"))


def requests(*bodies: str) -> list[CapturedRequest]:
    """Requests of one row each."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return [CapturedRequest(id=f"id-{body}", at=at, body=body, content_type="text/csv", rows=(ROW,)) for body in bodies]


def test_each_request_is_sent_once(challenger: Challenger, store: ShadowStore) -> None:
    """With its own content type and an inference id that names the copy; a second run sends only what is new."""
    first = shadow_scoring.score("staged", "0007", requests("1", "2"), store)
    assert first["id-1"] == CopyAnswer(status=200, scores=(0.25,), decisions=(0,))
    assert sorted(challenger.sent) == [("1", "text/csv", "shadow-id-1"), ("2", "text/csv", "shadow-id-2")]
    again = shadow_scoring.score("staged", "0007", requests("1", "2", "3"), store)
    assert (len(again), len(challenger.sent)) == (3, 3)


def test_refusals_are_kept_and_server_errors_are_asked_again(challenger: Challenger, store: ShadowStore) -> None:
    """A 400 says something about the model; a 500 may be over."""
    challenger.replies = {"1": Reply(status=400, body="no"), "2": Reply(status=500, body="no")}
    found = shadow_scoring.score("staged", "0007", requests("1", "2"), store)
    assert {name: each.status for name, each in found.items()} == {"id-1": 400, "id-2": 500}
    challenger.replies = {}
    found = shadow_scoring.score("staged", "0007", requests("1", "2"), store)
    assert {name: each.status for name, each in found.items()} == {"id-1": 400, "id-2": 200}


def test_most_requests_that_fail_are_sent_once(
    challenger: Challenger, store: ShadowStore, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that answers nothing in time is waited for once in a run, not twice; the next run asks again."""
    for body in ("1", "2"):
        challenger.replies[body] = Reply(status=500, body="timed out")
    found = shadow_scoring.score("staged", "0007", requests("1", "2", "3"), store)
    assert sorted(each.status for each in found.values()) == [200, 500, 500]
    assert len(challenger.sent) == 3
    says = "2 of 3 requests were answered with a server error, so this run does not send them again"
    assert says in capsys.readouterr().err
    shadow_scoring.score("staged", "0007", requests("1", "2", "3"), store)
    assert len(challenger.sent) == 5
    shadow_scoring.score("staged", "0007", requests("1", "2", "3", "4"), store)
    assert len(challenger.sent) == 10  # two of four fail: they are sent twice


def test_server_error_that_passes_is_no_answer(
    challenger: Challenger, store: ShadowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run sends the request again, once and after all others."""
    sent: list[str] = []

    def send(name: str, body: str, content_type: str | None, *, inference_id: str) -> Reply:
        sent.append(body)
        if body == "1" and sent.count(body) == 1:
            return Reply(status=503, body="busy")
        return (
            Reply(status=503, body="busy")
            if body == "3"
            else challenger.send(name, body, content_type, inference_id=inference_id)
        )

    monkeypatch.setattr(endpoint, "send", send)
    found = shadow_scoring.score("staged", "0007", requests("1", "2", "3", "4"), store)
    statuses = {name: each.status for name, each in found.items()}
    assert statuses == {"id-1": 200, "id-2": 200, "id-3": 503, "id-4": 200}
    assert (sorted(sent[:4]), sorted(sent[4:])) == (["1", "2", "3", "4"], ["1", "3"])


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (CloudError("lost"), CloudError, "lost"),
        (answer("0006"), Refused, "answered as model 0006 and not as 0007"),
        (answer("0007", 0.1, 0.2), CloudError, "to a request of 1 rows"),
        (Reply(status=200, body="<html>"), CloudError, "endpointOutput"),
    ],
)
def test_what_was_answered_before_a_failure_is_kept(
    challenger: Challenger, store: ShadowStore, reply: Reply | Exception, error: type[FraudopsError], message: str
) -> None:
    """Nothing is sent after it, and the next run goes on."""
    bodies = [str(number) for number in range(100)]
    challenger.replies = {"50": reply}
    with pytest.raises(error, match=message):
        shadow_scoring.score("staged", "0007", requests(*bodies), store)
    kept, sent = store.answers(), len(challenger.sent)
    assert "id-50" not in kept
    assert len(kept) == sent - 1
    challenger.replies = {}
    shadow_scoring.score("staged", "0007", requests(*bodies), store)
    assert len(challenger.sent) == sent + 100 - len(kept)
