"""Inputs that a person or an event gives to a workflow: each reaches a verb as a variable, and is data or an error."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ml import config
from ml.aws import s3_objects
from ml.cli import app
from ml.cli.options import window as window_option
from ml.commands import serving_image
from ml.drift import calendar
from ml.errors import ConfigError, DataError, FraudopsError, UsageError
from ml.training import open_requests
from ml.workflow import changed_files, runner_commands
from tests.fuzz.untrusted import COMMANDS, MARKUP, hostile_text
from tests.harness.fuzzing import examples

TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(
        [
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:59-12:00",
            "2026-03-01",
            "20260301T000000Z",
            "2026-W10-1",
            "2026-03-01T00:00:00.000001Z",
            "2026-03-01T00:00:00+23:59",
            "２026-03-01",
            "now",
            "",
        ]
    ),
    hostile_text,
)
VARIABLES = hostile_text.filter(lambda text: "\0" not in text).map(lambda text: text.encode("utf-8", "ignore").decode())
"""Linux allows no NUL in a variable."""
VERBS = {
    ("train",): ("FRAUDOPS_REQUEST", "FRAUDOPS_START", "FRAUDOPS_END", "FRAUDOPS_REASON", "FRAUDOPS_DRY_RUN"),
    ("drift", "check"): ("FRAUDOPS_WINDOW", "FRAUDOPS_REPORT_FILE"),
    ("drift", "request"): ("FRAUDOPS_HAND_OVER",),
    ("record-failure",): ("FRAUDOPS_HAND_OVER",),
    ("deploy",): ("FRAUDOPS_REASON",),
    ("plan",): ("FRAUDOPS_PULL_REQUEST",),
    ("validate",): ("FRAUDOPS_PULL_REQUEST",),
    ("confirm-ci",): ("FRAUDOPS_RUN",),
    ("ci-status",): ("FRAUDOPS_PULL_REQUEST", "FRAUDOPS_NEEDS"),
    ("serving-image",): ("FRAUDOPS_SERVING_BASE_IMAGE",),
}


@given(TIMES, TIMES)
@examples(200)
def test_times_of_a_training_are_a_window_or_a_usage_error(start: str, end: str) -> None:
    """Both ends are times of UTC, in order; a window that is written into a record can be."""
    try:
        window = window_option(start, end)
    except typer.BadParameter:
        return
    if window is None:
        return
    times = [moment.astimezone(UTC) for moment in (window.start, window.end) if moment is not None]
    assert times == sorted(times)


@given(st.one_of(st.tuples(TIMES, TIMES).map("/".join), hostile_text))
@examples(200)
def test_window_of_a_drift_check_is_a_window_or_a_usage_error(text: str) -> None:
    """Two times of UTC in whole seconds, in order."""
    try:
        start, end = calendar.parse(text)
    except UsageError as error:
        assert str(error).startswith("window must ")
        return
    assert start < end
    assert (start.tzinfo, end.tzinfo, start.microsecond) == (UTC, UTC, 0)


@given(st.lists(hostile_text, max_size=3))
def test_request_names_no_other_file(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """Any other name than one of an open request is refused, and no file is read for it."""
    root = tmp_path_factory.getbasetemp() / "without-requests"
    (root / config.REQUESTS).mkdir(parents=True, exist_ok=True)
    if names:
        with pytest.raises(ConfigError):
            open_requests.choose(root, names)
    for name in names:
        with pytest.raises(ConfigError, match="must be named"):
            config.load_request(root, name)
        with pytest.raises(ConfigError, match="must be named"):
            config.load_gate_failure(root, name)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@given(data=st.data())
@examples(8)
def test_verb_ends_with_a_code_of_its_own(verb: tuple[str, ...], data: st.DataObject, tmp_path_factory: Any) -> None:
    """Any text in each variable, in a folder that is no repository: a reported error, and nothing is written."""
    root = tmp_path_factory.getbasetemp() / "no-repository"
    root.mkdir(exist_ok=True)
    texts = {name: data.draw(VARIABLES, label=name) for name in VERBS[verb]}
    done = CliRunner().invoke(app, [*verb, *(["--repo", str(root)] if verb != ("ci-status",) else [])], env=texts)
    assert isinstance(done.exception, SystemExit | FraudopsError), done.exception
    assert done.exit_code != 0
    assert list(root.iterdir()) == []


ADDRESSES = st.sampled_from(
    [
        *COMMANDS,
        "s3://",
        "s3:///",
        "s3://b",
        "s3://b/../k",
        "S3://b/k",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "https://x.invalid/model.tar.gz",
        "data:application/gzip;base64,AA==",
        "//x.invalid/s3://b/k",
    ]
)


@given(hostile_text | ADDRESSES | st.tuples(st.sampled_from(["s3://", "s3://b", "s3"]), hostile_text).map("".join))
@examples(150)
def test_address_of_data_reaches_s3_alone(text: str) -> None:
    """Whatever scheme and host a record, a registry or an option names: no address but s3://BUCKET/KEY is used."""
    try:
        bucket, key = s3_objects.split(text)
    except DataError as error:
        assert str(error).endswith("must be s3://BUCKET/KEY")
        return
    assert text == f"s3://{bucket}/{key}"
    assert "/" not in bucket


@given(st.one_of(hostile_text, st.sampled_from(MARKUP)), hostile_text)
def test_text_of_an_event_is_data(tmp_path_factory: pytest.TempPathFactory, branch: str, login: str) -> None:
    """A pull request's branch, title and author are read as they are, and an annotation of them is one line."""
    file = tmp_path_factory.getbasetemp() / "event.json"
    head = {"ref": branch, "sha": "a" * 40, "repo": None}
    pull = {"number": 7, "title": branch, "user": {"login": login}, "head": head}
    file.write_text(json.dumps({"pull_request": pull}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_EVENT_PATH", str(file))
        patch.setenv("GITHUB_ACTIONS", "true")
        patch.setenv("GITHUB_REPOSITORY", "acme/fraudops")
        found = changed_files.pull_request()
        line = runner_commands.annotate("warning", branch, file=login)
    assert found is not None
    assert (found.branch, found.author, found.read_only) == (branch, login, True)
    assert "\n" not in line
    assert "\r" not in line


@given(hostile_text)
def test_base_image_is_a_digest_or_refused(text: str) -> None:
    """Docker's command line gets no other text."""
    with pytest.raises(UsageError, match="must name a Python"):
        serving_image.build(Path(), base_image=text)
