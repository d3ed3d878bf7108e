"""Captured lines and the events of the deploy function: any bytes are counted, any document is refused or obeyed."""

from __future__ import annotations

import json
from typing import Any

from deploy_model import documents, logic
from hypothesis import given
from hypothesis import strategies as st

from tests.aws.capture import test_decoder
from tests.fuzz.untrusted import changed, damaged, json_scalars, nested
from tests.harness.fuzzing import examples
from tests.infra.deploy_model.test_logic import ENVIRONMENT
from tests.infra.fake_access import ARN, FakeAccess, desired, event

captured = st.one_of(test_decoder.captured(), test_decoder.odd_line())
lines = st.one_of(
    captured,
    damaged(captured),
    st.binary(max_size=60),
    nested(json_scalars).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[" * 5_000, b"9" * 5_000, b'{"captureData": 1e999}', b'"\\ud800"']),
    test_decoder.captured()
    .map(json.loads)
    .flatmap(lambda line: changed(line, json_scalars))
    .map(lambda line: json.dumps(line).encode()),
)


@given(st.lists(lines.filter(lambda line: b"\n" not in line), max_size=4), captured)
@examples(100)
def test_any_captured_line_is_decoded_or_set_aside(some: list[bytes], valid: bytes) -> None:
    """No line stops its neighbours: the last one gives what it gives alone, and each unreadable one has a reason."""
    rows, unread, _ = test_decoder.read([*some, valid])
    alone, unread_alone, _ = test_decoder.read([valid])
    assert [row for row in alone if row not in rows] == []
    numbers = [number for number, _ in unread]
    assert len(set(numbers)) == len(numbers)
    assert (len(some) + 1 in numbers) == bool(unread_alone)
    assert all(reason and len(reason) < 2_000 for _, reason in unread)


@given(st.one_of(nested(json_scalars), changed(event(), json_scalars)))
@examples(200)
def test_any_event_deploys_what_git_approved_or_nothing(document: Any) -> None:
    """An event without a package or an id is a ValueError, which ends in the dead-letter queue."""
    access = FakeAccess()
    try:
        outcome = logic.deploy(document, access, ENVIRONMENT)
    except ValueError as error:
        assert str(error).startswith("the event ")
        assert access.changes == []
        return
    assert (outcome.outcome == "created") == (document["detail"]["ModelPackageArn"] == ARN)
    assert bool(access.changes) == (outcome.outcome == "created")


@given(
    st.one_of(nested(json_scalars), changed(desired(), json_scalars)).map(json.dumps)
    | st.text(max_size=60)
    | st.sampled_from(["[" * 5_000, "9" * 5_000, json.dumps(desired()).replace("7", "1e999", 1)])
)
@examples(200)
def test_any_order_is_refused_or_deployed_as_it_says(text: str) -> None:
    """The message of a refusal is bounded, and nothing is created in part."""
    access = FakeAccess(document=text)
    outcome = logic.deploy(event(), access, ENVIRONMENT)
    assert outcome.outcome in ("refused", "created")
    assert access.changes == (
        [] if outcome.outcome == "refused" else ["create_model", "create_endpoint_config", "create_endpoint"]
    )
    assert len(outcome.reason) < 20_000
    json.dumps(outcome.reason)


@given(nested(json_scalars).map(json.dumps) | st.sampled_from(["[" * 5_000, "9" * 5_000]))
def test_any_json_is_an_order_or_a_value_error(text: str) -> None:
    """`Desired.parse` has one kind of error."""
    try:
        documents.Desired.parse(text)
    except ValueError:
        return
