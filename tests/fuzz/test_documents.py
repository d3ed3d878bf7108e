"""Files of model-config and documents that one job hands to another: any change gives a value or one kind of error."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.config import statement_file, yaml_documents
from ml.config.yaml_models import File
from ml.drift import hand_over
from ml.drift.window_choice import TrainingWindow
from ml.errors import ConfigError
from ml.playground.template_state import FOLDER as SHIPPED
from ml.training import gate_failure, step_summary
from tests.drift import retrain_cases
from tests.fuzz.untrusted import changed, damaged, json_scalars, nested, scalars
from tests.harness.fuzzing import examples
from tests.harness.git.repositories import record
from tests.harness.platform import statements
from tests.training import test_gate_failure

REQUEST = config.RetrainRequest(
    kind="fit",
    cause="data-drift",
    reason="psi of V28 0.769",
    window=config.Window(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 4, 1, tzinfo=UTC)),
    evidence={"V28": {"psi": 0.769, "windows": [1, 2]}},
)
FAILURE = config.GateFailureRecord(
    kind="fit",
    commit="c" * 40,
    requests=("20260301T060000Z-data-drift",),
    verdict=config.Verdict(status="failed", reason="Recall 0.51 < 0.60 on 40 frauds."),
    evaluation_uri="s3://lake/executions/x/evaluation.json",
    execution_arn="arn:aws:sagemaker:us-east-1:123456789012:pipeline/p/execution/x",
    created=datetime(2026, 5, 1, tzinfo=UTC),
)


def shipped(path: Path) -> dict[str, Any]:
    """A settings file as it is shipped."""
    found: dict[str, Any] = yaml_documents.load((SHIPPED / path).read_text("utf-8"))
    return found


def dumped(document: File) -> dict[str, Any]:
    """A record as it is written."""
    found: dict[str, Any] = yaml_documents.load(config.dump(document))
    return found


FILES: dict[Path, tuple[type[File], dict[str, Any]]] = {
    config.DATA: (config.DataFile, shipped(config.DATA)),
    config.MODEL: (config.ModelFile, shipped(config.MODEL)),
    config.GATE: (config.GateFile, shipped(config.GATE)),
    config.DRIFT: (config.DriftFile, shipped(config.DRIFT)),
    config.SERVING: (config.ServingFile, shipped(config.SERVING)),
    config.approval_path(7): (config.ApprovalRecord, dumped(record(7))),
    config.REQUESTS / "20260301T060000Z-data-drift.yaml": (config.RetrainRequest, dumped(REQUEST)),
    config.gate_failure_path(FAILURE.created, FAILURE.commit): (config.GateFailureRecord, dumped(FAILURE)),
}
NAMES = [path.as_posix() for path in FILES]
BY_NAME = dict(zip(NAMES, FILES, strict=True))


def check_text(text: str, path: Path, model: type[File]) -> None:
    """`text` is a value that is written the same way again after it was read, or an error that names the file."""
    try:
        found = config.parse(text, path, model)
    except config.FileInvalid as error:
        message = str(error)
        assert message.startswith(f"{path}: ")
        assert len(message) < 12_000
        return
    assert config.dump(config.parse(config.dump(found), path, model)) == config.dump(found)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@examples(40)
def test_changed_file_is_a_value_or_a_config_error(name: str, data: st.DataObject) -> None:
    """Any value at any place of a valid file."""
    path = BY_NAME[name]
    model, valid = FILES[path]
    document = data.draw(changed(valid, scalars))
    check_text(yaml.dump(document, allow_unicode=data.draw(st.booleans())), path, model)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@examples(40)
def test_damaged_file_is_a_value_or_a_config_error(name: str, data: st.DataObject, tmp_path_factory: Any) -> None:
    """Any bytes: the file is read from disk, as the verbs read it."""
    path = BY_NAME[name]
    model, valid = FILES[path]
    content = data.draw(damaged(st.just(yaml.dump(valid).encode())))
    root = tmp_path_factory.getbasetemp() / "damaged"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)
    try:
        found = config.read(root, path, model)
    except ConfigError as error:
        assert str(error).startswith(f"{path}: ")
        return
    assert config.dump(config.parse(config.dump(found), path, model)) == config.dump(found)


STATEMENT = config.APPROVALS / "0007.intoto.json"


@given(data=st.data())
def test_changed_statement_is_a_value_or_a_config_error(data: st.DataObject) -> None:
    """Any JSON at any place of the envelope or of the statement in it."""
    statement: Any = statements.statement(record(7))
    if data.draw(st.booleans()):
        statement = data.draw(changed(statement, json_scalars))
    envelope = json.loads(statement_file.envelope(json.dumps(statement).encode(), key="arn:key", signature=b"sig"))
    if data.draw(st.booleans()):
        envelope = data.draw(changed(envelope, json_scalars))
    content = json.dumps(envelope).encode()
    if data.draw(st.booleans()):
        content = data.draw(damaged(st.just(content)))
    try:
        found = statement_file.parse_statement(content, STATEMENT)
    except ConfigError as error:
        assert str(error).startswith(f"{STATEMENT}: ")
        assert len(str(error)) < 12_000
        return
    assert all(isinstance(text, str) for text in statement_file.differences(found.statement, record(7)))


@given(
    st.one_of(nested(json_scalars).map(json.dumps), st.text(max_size=80), st.just("[" * 5_000), st.just("9" * 5_000))
)
def test_any_json_is_no_statement(text: str) -> None:
    """Noise, deep nesting and long numbers are ConfigErrors."""
    with pytest.raises(ConfigError, match=r"0007\.intoto\.json: "):
        statement_file.parse_statement(text.encode("utf-8", "surrogatepass"), STATEMENT)


WINDOW = TrainingWindow(
    start=datetime(2026, 3, 1, tzinfo=UTC),
    end=datetime(2026, 4, 21, tzinfo=UTC),
    rows=4000,
    frauds=60,
    test_frauds=20,
    grown_days=0,
)
DUE = yaml_documents.load(hand_over.write([(retrain_cases.due(), WINDOW)]))
FAILED = yaml_documents.load(gate_failure.write(test_gate_failure.failed()))


@given(changed(DUE, scalars))
def test_changed_drift_decision_is_read_or_refused(document: Any) -> None:
    """What `drift request` reads from the job with a role; the ids that follow from it name no other folder."""
    try:
        cases = hand_over.read(yaml.dump(document))
    except ConfigError as error:
        assert str(error).startswith(f"{hand_over.SOURCE}: ")
        return
    for name, (case, _) in cases.items():
        assert re.fullmatch(r"\d{8}T\d{6}Z-[a-z]+-drift", name), name
        assert isinstance(case.reason, str)


@given(changed(FAILED, scalars))
def test_changed_gate_failure_is_read_or_refused(document: Any) -> None:
    """What `record-failure` reads from the job with a role; the evidence that it shows can be made of it."""
    try:
        found = gate_failure.read(yaml.dump(document))
    except ConfigError as error:
        assert str(error).startswith(f"{gate_failure.SOURCE}: ")
        return
    assert step_summary.gate_failure_evidence(found, None)
