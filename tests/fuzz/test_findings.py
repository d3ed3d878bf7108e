"""What `make fuzz` found, each as a test of its own: tests/fuzz/targets.yaml names them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from deploy_model import documents, logic

from ml import clock, config
from ml.cli.options import window as window_option
from ml.config import statement_file
from ml.drift import calendar
from ml.errors import ConfigError, UsageError
from ml.gitops.repository import Repository
from ml.ingest import data_file
from ml.playground.template_state import FOLDER as SHIPPED
from ml.training import gate_failure
from tests.aws.capture import captured_lines, test_decoder
from tests.fuzz.test_documents import FAILED, REQUEST, STATEMENT
from tests.fuzz.test_git_text import git
from tests.harness.git.repositories import GitWorkspace
from tests.infra.deploy_model.test_logic import ENVIRONMENT
from tests.infra.fake_access import FakeAccess, desired, event
from tests.ingest.data_files import COLUMNS, GOOD, HEADER

NO_TIME_OF_UTC = "0001-01-01T00:00:00+14:00"
REQUEST_PATH = config.REQUESTS / "20260301T060000Z-data-drift.yaml"


def test_time_without_a_time_of_utc_is_refused() -> None:
    """The message names line and value."""
    text = config.dump(REQUEST).replace("start: 2026-03-01T00:00:00Z", f"start: {NO_TIME_OF_UTC}")
    with pytest.raises(config.FileInvalid, match=r"line \d+, column \d+: .*'0001-01-01.*' is not a valid timestamp"):
        config.parse(text, REQUEST_PATH, config.RetrainRequest)


def test_early_year_is_written_with_four_digits() -> None:
    """YAML takes no other form."""
    assert clock.stamp(datetime(999, 1, 1, tzinfo=UTC)) == "0999-01-01T00:00:00Z"


def test_evidence_without_an_offset_keeps_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the time zone of the machine."""
    moment = datetime(2026, 3, 1, 12)
    request = REQUEST.model_copy(update={"evidence": {"at": moment}})
    try:
        for zone in ("Asia/Tokyo", "America/New_York"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert config.parse(config.dump(request), REQUEST_PATH, config.RetrainRequest) == request
    finally:
        monkeypatch.undo()
        time.tzset()


def test_written_drift_rules_are_read_again() -> None:
    """`schema` is the key in the file."""
    rules = config.load_drift(SHIPPED)
    assert config.parse(config.dump(rules), config.DRIFT, config.DriftFile) == rules


@pytest.mark.parametrize("name", ["20260301T060000Z-data-drift\n", "２0260301T060000Z-data-drift"])
def test_name_with_a_line_break_is_refused(name: str) -> None:
    """Nor has a name a digit of another script."""
    with pytest.raises(ConfigError, match="must be named <utc>-<cause>"):
        config.load_request(SHIPPED, name)
    with pytest.raises(ConfigError, match="must be named <utc>-<commit>"):
        config.load_gate_failure(SHIPPED, name.replace("data-drift", "c" * 12))


@pytest.mark.parametrize("text", ["[" * 5_000, "9" * 5_000])
def test_deep_or_long_json_is_a_config_error(text: str) -> None:
    """The message names the file and does not repeat it."""
    with pytest.raises(ConfigError, match=r"0007\.intoto\.json: is not JSON that can be read") as caught:
        statement_file.parse_statement(text.encode(), STATEMENT)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("field", "other"), [("low", "high"), ("high", "low"), ("count", "of")])
def test_figure_with_half_an_interval_is_refused(field: str, other: str) -> None:
    """The job that records the failure shows both ends, or none."""
    metrics = {**FAILED["metrics"], "recall": {**FAILED["metrics"]["recall"], field: None}}
    assert metrics["recall"][other] is not None
    with pytest.raises(ConfigError, match=r"metrics\.recall must have both of (low and high|count and of), or neither"):
        gate_failure.read(yaml.dump({**FAILED, "metrics": metrics}))


@pytest.mark.parametrize("name", ["*", "*.csv", "?.csv", "[ab].csv", "{a,b}.csv"])
def test_file_with_a_star_in_its_name_is_read_alone(tmp_path: Path, name: str) -> None:
    """Beside files that the name matches."""
    for other in ("a.csv", "b.csv"):
        (tmp_path / other).write_text(f"{HEADER}\n9,9,9,9,0\n")
    (tmp_path / name).write_text(f"{HEADER}\n{GOOD}")
    found = data_file.read(str(tmp_path / name), COLUMNS)
    assert found.frame["V1"].tolist() == [1.5, -0.001]
    assert found.path == str(tmp_path / name)


def test_blank_line_is_left_out_whatever_is_beside_it() -> None:
    """Alone, beside an empty line, and between requests."""
    answers = captured_lines.answer_csv([0.5]), test_decoder.CSV
    valid = captured_lines.line((captured_lines.csv_rows([[1.0, 2.0, 3.0, 4.0]]), test_decoder.CSV), answers)
    blank = b" " * 20
    for lines in ([blank], [b"", blank], [valid, blank, valid], [valid, b"", blank]):
        rows, unread, _ = test_decoder.read(lines)
        assert (len(rows), unread) == (lines.count(valid), [])


@pytest.mark.parametrize(
    "order",
    [
        "[" * 5_000,
        json.dumps(desired()).replace('"approval": 7', '"approval": 1e999'),
        json.dumps(desired(approval=-1)),
        json.dumps(desired(endpoint="-x")),
        json.dumps(desired(instance={"type": "ml.m5.large", "count": 0})),
        json.dumps(desired(container=[])),
    ],
)
def test_event_or_order_of_another_form_is_refused(order: str) -> None:
    """Nothing is begun."""
    access = FakeAccess(document=order)
    outcome = logic.deploy(event(), access, ENVIRONMENT)
    assert (outcome.outcome, outcome.code, access.changes) == ("refused", "desired-unreadable", [])
    with pytest.raises(ValueError, match=r"."):
        documents.Desired.parse(order)
    others: list[Any] = [None, [], "x", {"detail": []}]
    for other in others:
        with pytest.raises(ValueError, match="the event names no model package"):
            logic.deploy(other, access, ENVIRONMENT)


def test_time_of_an_option_without_a_time_of_utc_is_a_usage_error() -> None:
    """The message says the form."""
    with pytest.raises(typer.BadParameter, match="must be ISO 8601"):
        window_option(NO_TIME_OF_UTC, None)
    for window in (f"{NO_TIME_OF_UTC}/2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z/9999-12-31T23:59:59-12:00"):
        with pytest.raises(UsageError, match="window must be START/END"):
            calendar.parse(window)


@pytest.fixture
def workspace(tmp_path_factory: pytest.TempPathFactory) -> GitWorkspace:
    """A repository with one commit."""
    return GitWorkspace.make(tmp_path_factory.mktemp("git") / "repository")


def test_commit_with_control_characters_and_a_date_of_no_calendar_is_read(workspace: GitWorkspace) -> None:
    """Its fields stay its own, and can be written into a page."""
    base = workspace.repository.head()
    tree = workspace.git("rev-parse", f"{base}^{{tree}}")
    raw = b"tree %s\nparent %s\nauthor e\x1fve\xff <e@x.invalid> 999999999999 +0000\n" % (tree.encode(), base.encode())
    raw += b"committer C <c@x.invalid> 1770000000 +0000\n\none\x1ftwo\x1ethree\xff\n"
    sha = git(workspace.root, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=raw)
    newest, first = Repository(workspace.root).log(sha)
    assert (newest.sha, first.sha) == (sha, base)
    assert (newest.author, newest.subject) == ("e\x1fve\ufffd", "one\x1ftwo\x1ethree\ufffd")
    assert newest.time == datetime(1970, 1, 1, tzinfo=UTC)


def test_added_file_is_listed_under_its_own_name(workspace: GitWorkspace) -> None:
    """Git quotes such names in lists of lines."""
    names = ['model-config/approvals/a"b.yaml', "model-config/approvals/c\nd.yaml", "model-config/approvals/é.yaml"]
    head = workspace.write(dict.fromkeys(names, "x"), "Add")
    found = workspace.repository.additions("HEAD", config.APPROVALS)
    assert sorted(path for _, path in found) == sorted(names)
    assert {sha for sha, _ in found} == {head or workspace.repository.head()}
