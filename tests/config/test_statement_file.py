"""Statements of provenance are parsed strictly and compared with the record that they lie beside."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from ml.config import statement_file
from ml.errors import ConfigError
from tests.harness.git.repositories import record
from tests.harness.platform import statements

PATH = Path("model-config/approvals/0007.intoto.json")


def parse(document: Any, **changes: Any) -> statement_file.SignedStatement:
    """Parses an envelope around a statement, with changed members of the envelope."""
    envelope = json.loads(statement_file.envelope(json.dumps(document).encode(), key="arn:key", signature=b"sig"))
    return statement_file.parse_statement(json.dumps(envelope | changes).encode(), PATH)


def test_encoding_is_that_of_the_specification() -> None:
    """DSSE's protocol.md has this example, with another type of payload."""
    assert statement_file.pre_authentication_encoding(b"hello world") == (
        b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"
    )


def test_written_statement_is_read_again() -> None:
    """The signature is over the payload's bytes as they are in the file."""
    payload = json.dumps(statements.statement(record(7))).encode()
    content = statement_file.envelope(payload, key="arn:key", signature=b"\x00\xff")
    found = statement_file.parse_statement(content, PATH)
    assert (found.key, found.signature) == ("arn:key", b"\x00\xff")
    assert found.signed == statement_file.pre_authentication_encoding(payload)
    assert content.endswith(b"\n")
    assert statement_file.differences(found.statement, record(7)) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"payloadType": "text/plain"}, "payloadType"),
        ({"payload": "!"}, "payload must be base64"),
        ({"payload": base64.b64encode(b"[]").decode()}, "must be an object"),
        ({"signatures": []}, "signatures"),
        ({"signatures": [{"keyid": "a", "sig": "YQ=="}] * 2}, "signatures"),
        ({"signatures": [{"keyid": "a", "sig": "?"}]}, r"signatures\.0\.sig must be base64"),
        ({"more": 1}, "more"),
    ],
)
def test_other_envelopes_are_refused(changes: dict[str, Any], field: str) -> None:
    """The error names the file and the field."""
    with pytest.raises(ConfigError, match=rf"0007\.intoto\.json: .*{field}"):
        parse(statements.statement(record(7)), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"predicateType": "https://slsa.dev/provenance/v0.2"},
        {"subject": []},
        {"subject": [{"name": "a", "digest": {"sha256": "a" * 64}}] * 2},
        {"subject": [{"name": "a", "digest": {"sha256": "short"}}]},
        {"predicate": {}},
        {"more": 1},
    ],
)
def test_other_statements_are_refused(changes: dict[str, Any]) -> None:
    """A statement has one subject, and this version's predicate without further members."""
    with pytest.raises(ConfigError, match=rf"0007\.intoto\.json: .*{next(iter(changes))}"):
        parse(statements.statement(record(7)) | changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"artifact": record(8).artifact}, "artifact"),
        ({"commit": "e" * 40}, "commit"),
        ({"config_sha256": "e" * 64}, "configuration"),
        ({"data": record(7).data.model_copy(update={"sha256": "e" * 64})}, "data"),
        ({"execution_arn": "arn:aws:sagemaker:us-east-1:123456789012:pipeline/other/execution/y"}, "execution"),
    ],
)
def test_statement_of_another_record_differs(changes: dict[str, Any], named: str) -> None:
    """Each input of the training and its output are compared."""
    (difference,) = statement_file.differences(parse(statements.statement(record(7))).statement, record(7, **changes))
    assert difference.startswith(f"{named} is ")


def test_missing_inputs_are_named() -> None:
    """A statement without dependencies does not say what the model was made of."""
    document = statements.statement(record(7))
    document["predicate"]["buildDefinition"] |= {"resolvedDependencies": [], "internalParameters": {}}
    found = statement_file.differences(parse(document).statement, record(7))
    assert [text.partition(" ")[0] for text in found] == ["commit", "configuration", "data", "package", "execution"]
    assert all("is missing" in text for text in found)
