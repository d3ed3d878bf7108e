"""`fraudops site build`: the site of two approvals and a rollback, with and without the account."""

from __future__ import annotations

import html
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml import config
from ml.aws import s3_objects
from ml.aws.drift_check_store import Checks
from ml.cli import app
from ml.commands.site_build import MARKER, build
from ml.errors import CloudError, FraudopsError, Refused
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform.serving_history import BUCKET, REQUEST
from tests.site.sites import REPORT
from tests.site.test_drift_checks import document

URL = "https://github.com/acme/fraudops"


@pytest.fixture
def served(served_before: BotEnvironment) -> BotEnvironment:
    """Approval 1 served from 1 March on, 2 from 1 April, for a request, and 1 again from 10 April."""
    return served_before


def text(folder: Path, name: str = "index.html") -> str:
    """A page in one line."""
    return " ".join((folder / name).read_text("utf-8").split())


def test_site_of_all_sources(served: BotEnvironment, tmp_path: Path) -> None:
    """What serves, who approved it, every model's evaluation, and every event; all sources agree."""
    out = tmp_path / "site"
    report = build(served.root, out, repository_url=URL)
    assert (report.serves, report.models, report.missing, report.disagreements) == (1, 2, (), ())
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        MARKER,
        "drift.html",
        "index.html",
        "models/0001.html",
        "models/0002.html",
        "timeline.html",
        "timeline/approval.html",
        "timeline/deployment.html",
        "timeline/failed-deployment.html",
        "timeline/request.html",
        "timeline/rollback.html",
        "words.html",
    ]
    index = text(out)
    assert "<h1>Model 0001 serves</h1>" in index
    assert "It serves since 10 April 2026, 07:00 UTC. The rollback was approved by bob and merged by alice" in index
    assert "no window was checked yet" in index
    assert " in Git's approval, the registry and the deployment record; compared on " in html.unescape(index)
    assert "<dt>CloudWatch alarms</dt><dd>the stack has none</dd>" in index
    second = text(out, "models/0002.html")
    assert "Model 0002: served 1 April 2026 to 10 April 2026" in second
    assert f'href="{URL}/pull/2"' in second
    assert 'src="data:image/png;base64,' in second
    assert REQUEST in second
    assert "A deployment failed on 2026-04-01T07:00:00Z: it did not start" in second
    line = text(out, "timeline.html")
    assert line.count("<li>") - line.count('<li><a href="') == report.events == 8
    assert "Rollback to model 0001" in line


def test_offline_reads_git_alone(served: BotEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account and no token are needed; the pages name what is missing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("GITHUB_TOKEN")
    report = build(served.root, tmp_path / "site", offline=True)
    assert (report.serves, report.models, report.events) == (1, 2, 4)
    assert "alerts, drift checks and suppressed requests" in report.missing
    index = text(tmp_path / "site")
    assert "<h1>Git names model 0001</h1>" in index
    assert "<dt>CloudWatch alarms</dt><dd>not read</dd>" in index
    assert "Missing: when models began to serve (deployment records)" in index
    assert "Pull request #" not in text(tmp_path / "site", "timeline.html")


def test_account_that_cannot_be_reached_is_an_error(
    served: BotEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written; the former site stays."""
    out = tmp_path / "site"
    build(served.root, out)
    before = text(out)
    monkeypatch.setenv("FRAUDOPS_STACK", "another")
    with pytest.raises(CloudError, match="no stack another"):
        build(served.root, out)
    assert text(out) == before


def test_disagreement_is_on_the_first_page(served: BotEnvironment, tmp_path: Path) -> None:
    """An evaluation that was replaced is left out, and said on both pages; other models keep theirs."""
    record = config.load_approval(served.root, 2)
    s3_objects.write(record.evaluation.uri, b"{}", "application/json")
    report = build(served.root, tmp_path / "site")
    assert len(report.disagreements) == 1
    assert record.evaluation.uri in report.disagreements[0]
    assert "1 place disagrees" in text(tmp_path / "site")
    second = text(tmp_path / "site", "models/0002.html")
    assert "Not on this page: the evaluation: the object at" in second
    assert "data:image/png" not in second
    assert "data:image/png" in text(tmp_path / "site", "models/0001.html")


def test_github_without_a_token_is_named(
    served: BotEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The merge's author is shown instead."""
    monkeypatch.delenv("GITHUB_TOKEN")
    report = build(served.root, tmp_path / "site")
    (missing,) = report.missing
    assert missing.startswith("pull requests and reviewers: GITHUB_TOKEN must be set")
    assert "Not read: pull requests and reviewers" in text(tmp_path / "site")


def test_drift_check_is_a_page_with_its_report(served: BotEnvironment, tmp_path: Path) -> None:
    """The first page has its sentence and links its report; so has the page of all checks."""
    uri = "s3://lake/monitoring/fraudops-production/reports/x/report.html"
    s3_objects.write(uri, REPORT, "text/html")
    Checks(BUCKET, "fraudops-production").write(document(uri))
    out = tmp_path / "site"
    build(served.root, out, year="a year")
    name = "drift/20260301T000000Z_20260401T000000Z.html"
    assert (out / name).read_bytes().endswith(REPORT.partition(b"<header><div>\n")[2])
    assert '<a href="../drift.html">' in text(out, name)
    index = text(out)
    assert "Against model 0001, before it served again; checked on 1 April 2026, 05:17 UTC." in index
    assert f'href="{name}">The report</a>' in index
    assert f'href="{name}"' in text(out, "drift.html")
    assert (out / "year.html").read_text("utf-8") == "a year"


def test_suppressed_requests_are_on_the_time_line(served: BotEnvironment, tmp_path: Path) -> None:
    """As the drift check has recorded them."""
    checks, reason = Checks(BUCKET, "fraudops-production"), "the cooldown of data-drift is 21 days"
    name = "20260501T000000Z-data-drift"
    at = datetime(2026, 5, 1, tzinfo=UTC)
    checks.write_suppressed(name, cause="data-drift", raised_by="windows", reason=reason, approval=1, at=at)
    build(served.root, tmp_path / "site")
    assert "No retrain was requested: data drift" in text(tmp_path / "site", "timeline/suppressed-request.html")
    assert reason in text(tmp_path / "site", "timeline.html")


def test_demo_names_its_script(served: BotEnvironment, tmp_path: Path) -> None:
    """At the top of each page, and wherever it approved; other reviewers are people."""
    out = tmp_path / "site"
    build(served.root, out, simulated=True, scripted_reviewer="bob")
    assert "approved by bob (a script) and merged by alice" in text(out)
    for name in ("index.html", "drift.html", "timeline.html", "models/0001.html"):
        assert "A demo on emulators" in text(out, name)
    build(served.root, out, scripted_reviewer="carol")
    assert "approved by bob and merged by alice" in text(out)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_folder_with_other_files_is_refused(served: BotEnvironment, tmp_path: Path, kind: str) -> None:
    """Nothing is removed: a folder of others, and a file in the place of the folder."""
    out = tmp_path / "site"
    if kind == "file":
        out.write_text("mine")
        with pytest.raises(FraudopsError, match="choose another with --out"):
            build(served.root, out, offline=True)
        assert out.read_text() == "mine"
        return
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(Refused, match="choose another with --out"):
        build(served.root, out, offline=True)
    assert (out / "mine").exists()


def test_folder_of_a_former_site_is_emptied(served: BotEnvironment, tmp_path: Path) -> None:
    """A page of a model that is gone does not stay."""
    out = tmp_path / "site"
    build(served.root, out, offline=True)
    (out / "models/0009.html").touch()
    build(served.root, out, offline=True)
    assert not (out / "models/0009.html").exists()


def test_command_prints_what_to_open(served: BotEnvironment, tmp_path: Path) -> None:
    """The first page's path, and what it has; as JSON with --json."""
    arguments = ["site", "build", "--repo", str(served.root), "--out", str(tmp_path / "site")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert "serves approval 0001" in lines
    assert f"open first {tmp_path}/site/index.html" in lines
    found = json.loads(CliRunner().invoke(app, [*arguments, "--json", "--offline"]).stdout)
    assert (found["pages"], found["serves"]) == (9, 1)
