"""`fraudops shadow` on the AWS emulator: staging's model scores what production answered, and is compared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml import clock, config
from ml.aws import deployment_records, endpoint, s3_objects
from ml.aws.endpoint import Reply
from ml.aws.labels import store
from ml.aws.session import client
from ml.aws.shadow_store import ShadowStore
from ml.commands.deploy import deploy
from ml.commands.promote import promote
from ml.commands.shadow import NotDue, ShadowResult, shadow, shadow_if_due
from ml.errors import CloudError, Refused
from ml.records import model_archive
from tests.harness.git.repositories import PERSON
from tests.harness.platform import served, stages
from tests.harness.platform.served import ENDPOINT
from tests.harness.platform.stages import STAGED, Stages

pytestmark = pytest.mark.slow
ROWS = served.transactions(7, 150)
PRODUCTION, CHALLENGER = -2.0, -1.0
"""Intercepts: the challenger alerts on more."""
HOUR = timedelta(hours=1)


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    """Production serves approval 1 with a shadow of an hour in its roll-out; staging serves approval 2."""
    with stages.platform(tmp_path, monkeypatch) as found:
        stages.ask_for_shadow(found)
        found.approve(found.register(PRODUCTION))
        deploy(found.root, staging=True)
        promote(found.root, merge=True, approver=PERSON)
        deploy(found.root)
        send(range(10), "before")
        found.approve(found.register(CHALLENGER))
        pass_minutes(found, monkeypatch, 60)  # records have whole seconds: what was sent before is not in that of this
        deploy(found.root, staging=True)
        pass_minutes(found, monkeypatch, 1)
        yield found


def pass_minutes(env: Stages, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Lets time pass, in the account and for the product; it stands still afterwards."""
    assert env.cloud is not None
    now = clock.now() + timedelta(minutes=minutes)
    env.cloud.clock.set(now)
    monkeypatch.setenv("FRAUDOPS_NOW", now.isoformat())


def send(places: range, name: str = "e", *, columns: tuple[str, ...] = ("Time", "V1", "Amount")) -> None:
    """Sends these rows to production, each with an event id: two thirds one by one as JSON, the others as one CSV."""
    runtime = client("sagemaker-runtime")
    rows = [(f"{name}-{place}", ROWS[place].tolist()) for place in places]
    cut = len(rows) * 2 // 3
    for event_id, values in rows[:cut]:
        body = {"instances": [{**dict(zip(columns, values, strict=True)), "event_id": event_id}]}
        runtime.invoke_endpoint(
            EndpointName=ENDPOINT, ContentType="application/json", Accept="text/csv", Body=json.dumps(body).encode()
        )
    lines = [",".join([*columns, "event_id"])]
    lines += [",".join([*map(repr, values), event_id]) for event_id, values in rows[cut:]]
    runtime.invoke_endpoint(
        EndpointName=ENDPOINT,
        ContentType="text/csv; header=present",
        Accept="application/json",
        Body="\n".join(lines).encode(),
    )


def scores(env: Stages, approval: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The scores of ROWS as the archive of an approval gives them."""
    return model_archive.read_approved(config.load_approval(env.root, approval)).model.score(ROWS)


def comparison(result: ShadowResult) -> dict[str, Any]:
    """The stored document."""
    document: dict[str, Any] = json.loads(s3_objects.read(result.uri))
    return document


def after(monkeypatch: pytest.MonkeyPatch, hours: float) -> datetime:
    """Sets the product's clock to some hours from now."""
    now = clock.now() + hours * HOUR
    monkeypatch.setenv("FRAUDOPS_NOW", now.isoformat())
    return now


def test_challenger_is_compared_on_captured_traffic_and_then_promoted(
    env: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before its time is over; figures and lists are those of the two archives; labels are added later."""
    assert env.cloud is not None
    with pytest.raises(Refused, match="has not been compared yet"):
        promote(env.root)
    with pytest.raises(Refused, match="so nothing can be compared"):
        shadow(env.root)
    assert shadow_if_due(env.root).decision == "wait"
    send(range(len(ROWS)))
    assert env.cloud.flush()
    first = shadow(env.root)
    assert (first.decision, first.requests, first.rows) == ("wait", 101, len(ROWS))
    with pytest.raises(Refused, match=r"is not complete: 0\.0 of 1 hours are compared"):
        promote(env.root)

    after(monkeypatch, 2)
    over = shadow_if_due(env.root)
    assert isinstance(over, ShadowResult)
    assert (over.decision, over.compared_hours) == ("no objection yet", 1)
    document = comparison(over)
    former, new = scores(env, 1), scores(env, 2)
    gained = np.flatnonzero((new >= 0.5) & (former < 0.5))
    assert len(gained) > 5
    agreement = document["agreement"]
    assert [agreement[cell]["count"] for cell in ("both", "challenger_only", "champion_only", "neither")] == [
        int((former >= 0.5).sum()),
        len(gained),
        0,
        int((new < 0.5).sum()),
    ]
    listed = document["different"]["challenger_only"]["listed"]
    assert {row["event_id"] for row in listed} == {f"e-{place}" for place in gained}
    assert {row["event_id"]: row["amount"] for row in listed} == {f"e-{place}": ROWS[place, 2] for place in gained}
    assert document["scores"]["largest"] == pytest.approx(np.abs(new - former).max(), abs=1e-9)
    assert document["alerts_a_day"]["challenger"]["value"] == pytest.approx(24 * int((new >= 0.5).sum()))
    assert document["artifact_sha256"] == config.load_approval(env.root, 2).artifact.sha256

    later = after(monkeypatch, 24 * 20)
    frauds = {int(place) for place in gained[:4]}
    known = pa.table(
        {
            "event_id": [f"e-{place}" for place in range(len(ROWS))],
            "label": pa.array([int(place in frauds) for place in range(len(ROWS))], pa.int8()),
            "known_at": pa.array([later - HOUR] * len(ROWS), pa.timestamp("us", "UTC")),
            "channel": ["chargeback"] * len(ROWS),
        }
    )
    store.deliver(env.where.bucket, known.cast(store.DELIVERED_SCHEMA))
    labelled = shadow(env.root)
    assert (labelled.decision, labelled.labelled) == ("no objection", len(ROWS))
    assert labelled.says.startswith("of 4 known frauds the challenger alerts on 4 and the model in production on 0")
    cells = comparison(labelled)["labels"]["cells"]
    assert cells["challenger_only"]["frauds"] == 4
    assert cells["challenger_only"]["fraud_amount"] == pytest.approx(ROWS[sorted(frauds), 2].sum())
    promoted = promote(env.root, merge=True, approver=PERSON)
    assert promoted.shadow is not None
    assert promoted.shadow.startswith("Nothing speaks against merging. Of 4 known frauds")
    nothing = shadow_if_due(env.root)
    assert isinstance(nothing, NotDue)
    assert (nothing.decision, "already the one that production serves" in nothing.says) == ("nothing to promote", True)


def test_run_that_was_cut_off_goes_on(env: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the requests that have no answer; a second run after the end sends nothing and finds the same."""
    assert env.cloud is not None
    send(range(60))
    assert env.cloud.flush()
    after(monkeypatch, 2)
    sent: list[str] = []
    original = endpoint.send

    def cut(name: str, body: str, content_type: str | None, *, inference_id: str) -> Reply:
        if len(sent) >= 20:
            raise CloudError("the connection was lost")
        sent.append(inference_id)
        return original(name, body, content_type, inference_id=inference_id)

    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "send", cut)
        with pytest.raises(CloudError, match="lost"):
            shadow(env.root)
    before = len(sent)
    assert 0 < before < 41

    def counted(name: str, body: str, content_type: str | None, *, inference_id: str) -> Reply:
        sent.append(inference_id)
        return original(name, body, content_type, inference_id=inference_id)

    monkeypatch.setattr(endpoint, "send", counted)
    first = comparison(shadow(env.root))
    assert (len(sent), len(set(sent))) == (41, 41)
    again = comparison(shadow(env.root))
    assert len(sent) == 41
    assert (again["rows"], {**again, "at": ""}) == (60, {**first, "at": ""})


def test_challenger_that_always_fails_is_refused(env: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day after its time; a deployment that removes the cause is asked again, also about what was refused."""
    assert env.cloud is not None
    send(range(30))
    assert env.cloud.flush()
    with monkeypatch.context() as patch:
        patch.setattr(endpoint, "send", lambda *_, **__: Reply(status=500, body="no"))
        assert shadow(env.root).decision == "wait"
        after(monkeypatch, 2)
        assert shadow(env.root).decision == "wait"
        after(monkeypatch, 24)
        assert shadow(env.root).decision == "reject"
        with pytest.raises(Refused, match="has compared nothing: 21 of 21 requests that production answered"):
            promote(env.root)
        patch.setattr(endpoint, "send", lambda *_, **__: Reply(status=400, body="no"))
        refused = shadow(env.root)
    assert refused.says == "21 of 21 requests that production answered were refused (21 with 400)"
    assert shadow(env.root).says == refused.says
    deploy(env.root, staging=True)
    assert shadow(env.root).decision == "no objection yet"
    assert promote(env.root).shadow is not None


def test_server_errors_of_a_late_first_run_have_a_day_and_no_green_run(
    env: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--if-due` fails with what to run, because no run starts by itself; the day counts from that first run."""
    assert env.cloud is not None
    send(range(30))
    assert env.cloud.flush()
    monkeypatch.setattr(endpoint, "send", lambda *_, **__: Reply(status=503, body="busy"))
    first = after(monkeypatch, 50)
    with pytest.raises(
        CloudError, match=r"is not complete after its time: .* run `gh workflow run deploy-staging\.yml"
    ):
        shadow_if_due(env.root)
    deployed = deployment_records.history(env.staging.bucket)[-1]
    stored = ShadowStore(env.staging.bucket, deployed).comparison()
    assert stored is not None
    assert (stored["decision"], stored["failing_since"]) == ("wait", clock.stamp(first))
    with pytest.raises(Refused, match=f"are sent again until {clock.stamp(first + 24 * HOUR)}"):
        promote(env.root)
    after(monkeypatch, 23)
    assert shadow(env.root).decision == "wait"
    after(monkeypatch, 1)
    found = shadow_if_due(env.root)
    assert found.decision == "reject"
    assert found.says.endswith(f"still 24 hours after the first failure after it, {clock.stamp(first)}")


def test_out_of_date_verdict_is_refused_and_does_not_wait(env: Stages) -> None:
    """Production moved to another model since the challenger was compared: more time changes nothing."""
    moved = config.set_values(env.workspace.text(config.SERVING), config.SERVING, {"approval": None})
    env.workspace.write({config.SERVING: moved}, "Serve nothing")
    with pytest.raises(Refused, match="its verdict is out of date"):
        shadow_if_due(env.root)


def test_other_model_in_staging_is_refused(env: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """As promote refuses it; and capture that is gone does not replace a comparison by one of less."""
    assert env.cloud is not None
    send(range(30))
    assert env.cloud.flush()
    after(monkeypatch, 2)
    kept = comparison(shadow(env.root))
    assert kept["traffic"]["requests"] == 21
    more = kept | {"traffic": kept["traffic"] | {"requests": 22}}
    deployed = deployment_records.history(env.staging.bucket)[-1]
    former = ShadowStore(env.staging.bucket, replace(deployed, endpoint_config=f"{deployed.endpoint_config}-former"))
    former.write(more)
    assert comparison(shadow(env.root)) == kept  # `promote` needs one of staging as it is now
    found = ShadowStore(env.staging.bucket, deployed)
    found.write(more)
    with pytest.raises(Refused, match=r"21 captured requests are left of the 22 .* capture has expired"):
        shadow(env.root)
    assert found.comparison() == more
    assert promote(env.root).shadow is not None
    client("sagemaker").delete_endpoint(EndpointName=STAGED)
    assert env.cloud.flush()
    with pytest.raises(Refused, match="not what was deployed last"):
        shadow(env.root)
