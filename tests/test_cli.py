"""The command line: help of every verb, one-line errors, exit codes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import typer
from typer.testing import CliRunner

from ml import errors, render
from ml.cli import app
from ml.playground import template_state
from tests.harness.platform import monitored

ROOT = Path(__file__).resolve().parents[1]


ARN = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/fraudops-training/execution/abc123"
MAIN = "from ml.cli import main; main()"
SHIPPED = ("--repo", str(template_state.FOLDER))


def fraudops(
    *arguments: str, cwd: Path = ROOT, program: str = MAIN, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FRAUDOPS_"))}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env=environment | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "120"} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def verbs() -> Iterator[tuple[str, Any]]:
    """The full names of all verbs, e.g. `data import`."""

    def walk(prefix: str, command: Any) -> Iterator[tuple[str, Any]]:
        if children := getattr(command, "commands", None):
            for name, child in children.items():
                yield from walk(f"{prefix} {name}".strip(), child)
        else:
            yield prefix, command

    yield from walk("", typer.main.get_command(app))


VERBS = dict(verbs())


def called(*arguments: str) -> str:
    """The standard output of the command, run in this process; it must succeed.

    For facts other than how the process starts and ends, which the other tests have: importing the libraries of some
    verbs again takes longer than their work.
    """
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def offline() -> subprocess.CompletedProcess[str]:
    """A run of `pipeline definition` with the bucket alone given."""
    return fraudops("pipeline", "definition", *SHIPPED, "--bucket", "lake")


def examples(name: str) -> list[list[str]]:
    """The commands of a verb's example as words, without redirections and what a shell would fill in."""
    text = VERBS[name].epilog.removeprefix("Example: ")
    text = re.sub(r'"\$\((cat [^)]*)\)"', "'{}'", re.sub(r'^eval "\$\((.*)\)"$', r"\1", text))
    parts = re.sub(r" > \S+$", "", text).split(" && ")
    return [shlex.split(re.sub(r'^eval "\$\((.*)\)"$', r"\1", part)) for part in parts]


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_an_example_and_described_options(name: str) -> None:
    """The help says what the verb does, has an example, and describes each option."""
    command = VERBS[name]
    assert command.help
    assert command.epilog
    assert command.epilog.startswith("Example: ")
    assert f"fraudops {name}" in command.epilog
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help"


@pytest.mark.parametrize("name", VERBS)
def test_example_is_a_valid_command_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of an example has arguments and options that the verb takes."""
    for words in examples(name):
        variables = list(itertools.takewhile(lambda word: "=" in word, words))
        for variable in variables:
            monkeypatch.setenv(*variable.split("=", 1))
        program, *rest = words[len(variables) :]
        assert program == "fraudops"
        verb = next(each for each in (" ".join(rest[:2]), rest[0]) if each in VERBS)
        with VERBS[verb].make_context(verb, rest[len(verb.split()) :]):
            pass


def test_examples_without_an_account_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verbs that need neither AWS nor GitHub do what their examples say, and print JSON where asked."""
    rng = np.random.default_rng(5)
    rows = monitored.draw(rng, 3_000)
    frame = pd.DataFrame(rows.inputs, columns=list(monitored.COLUMNS.inputs)).assign(Class=rows.truth)
    frame.to_csv(tmp_path / "transactions.csv", index=False)
    frame.to_csv(tmp_path / "labelled.csv", index=False)
    (tmp_path / "model.tar.gz").write_bytes(monitored.archive())
    monkeypatch.chdir(tmp_path)
    called("data", "synthesise", "--rows", "20000", "--out", "creditcard.csv")
    for name in ("explore", "score", "evaluate", "pipeline definition", "data synthesise"):
        (words,) = examples(name)
        outside = () if name in ("score", "evaluate", "data synthesise") else SHIPPED
        printed = called(*words[1:], *outside)
        if "--json" in words or name == "pipeline definition":
            assert json.loads(printed)
    plain, asked = (
        called("pipeline", "definition", "--bucket", "b", *option, *SHIPPED) for option in ((), ("--json",))
    )
    assert json.loads(plain) == json.loads(asked)
    for made in ("build/data.html", "scores.parquet", "transactions.parquet"):
        assert (tmp_path / made).stat().st_size > 1_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        ([1, 2], "1, 2"),
        ([], None),
        ({"merged_by": None, "at": datetime(2026, 3, 1, tzinfo=UTC)}, "at 2026-03-01T00:00:00Z"),
        ([{"state": "requested", "started": False}, {"state": "kept"}], "state requested, started no; state kept"),
    ],
)
def test_fields_are_words(value: Any, text: str | None) -> None:
    """No table shows Python's notation of a value."""
    assert render.fields(dataclasses.make_dataclass("Result", ["some_name"])(value)) == [("some name", text)]


def test_missing_file_is_named_before_aws_is_asked(tmp_path: Path) -> None:
    """A wrong path is an error of the data, also without credentials."""
    for verb in (("data", "import"), ("labels", "import")):
        done = fraudops(*verb, "nosuch.csv", *SHIPPED, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (errors.DataError.exit_code, 1)
        assert done.stderr.startswith("error: nosuch.csv: no such file")


def test_operations_page_and_the_help_name_the_same_exit_codes() -> None:
    """Each kind of error is in the table of docs/operations.md and in the help with its code."""
    page, text = (ROOT / "docs/operations.md").read_text(), fraudops("--help").stdout
    kinds: list[type[errors.FraudopsError]] = [errors.FraudopsError, *errors.FraudopsError.__subclasses__()]
    for kind in kinds:
        assert re.search(rf"^\| {kind.exit_code} \|", page, re.M), kind
        assert re.search(rf"\b{kind.exit_code} ", text), kind


def test_every_verb_named_in_the_documentation_exists() -> None:
    """`fraudops VERB` in a page is a verb of the command line."""
    words = {name.split()[0] for name in VERBS}
    pages = [file.relative_to(ROOT).as_posix() for file in sorted((ROOT / "docs").glob("*.md"))]
    for document in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "model-config/README.md", *pages):
        for named in re.findall(r"`fraudops ([a-z][a-z-]*)", (ROOT / document).read_text()):
            assert named in words, f"{document}: fraudops {named}"


def test_failure_is_one_line_and_its_own_exit_code(tmp_path: Path) -> None:
    """An invalid configuration exits with 3 and one line that names the file."""
    done = fraudops("pipeline", "definition", "--repo", str(tmp_path), "--bucket", "lake")
    assert done.returncode == errors.ConfigError.exit_code
    assert done.stderr.count("\n") == 1
    assert "model-config/training/model.yaml: no such file" in done.stderr
    assert done.stdout == ""


def test_developers_can_see_where_a_failure_was_raised(tmp_path: Path) -> None:
    """--traceback shows the stack above the same line and the same exit code."""
    done = fraudops("--traceback", "pipeline", "definition", "--repo", str(tmp_path), "--bucket", "lake")
    assert done.returncode == errors.ConfigError.exit_code
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")


def test_unreachable_cloud_is_explained() -> None:
    """A closed port at AWS_ENDPOINT_URL is a one-line error of AWS without a stack trace."""
    done = fraudops(
        "bootstrap", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x",
        AWS_DEFAULT_REGION="us-east-1", AWS_MAX_ATTEMPTS="1",
    )  # fmt: skip
    assert done.returncode == errors.CloudError.exit_code
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:9" in done.stderr


def test_wrong_command_line_is_a_usage_error() -> None:
    """An invalid date is an error that names the option, with exit code 2."""
    done = fraudops("data", "synthesise", "--start", "yesterday")
    assert done.returncode == 2
    assert "--start" in done.stderr


def test_definition_is_available_offline(offline: subprocess.CompletedProcess[str]) -> None:
    """With a bucket given, the definition needs no account; the output is JSON."""
    assert offline.returncode == 0, offline.stderr
    assert json.loads(offline.stdout)["Version"] == "2020-12-01"


def test_placeholders_of_an_offline_definition_are_named(offline: subprocess.CompletedProcess[str]) -> None:
    """Each omitted option is named on stderr with its placeholder; with all options given stderr is empty."""
    (line,) = offline.stderr.splitlines()
    assert line.startswith("placeholders for values that were not given: --role arn:aws:iam::000000000000:role/")
    assert "--group fraudops-model" in line
    assert "--region us-east-1" in line
    assert "--bucket" not in line
    given = ("--bucket", "lake", "--role", "arn:aws:iam::123456789012:role/r", "--group", "g", "--region", "eu-west-1")
    assert fraudops("pipeline", "definition", *SHIPPED, *given).stderr == ""


def test_invalid_region_is_one_line() -> None:
    """A region without the jobs' image is a configuration error without a stack trace."""
    done = fraudops("pipeline", "definition", *SHIPPED, "--region", "mars-1")
    assert done.returncode == errors.ConfigError.exit_code
    assert done.stderr.count("\n") == 1
    assert "region 'mars-1'" in done.stderr
    assert len(done.stderr) < 300


def test_unexpected_error_is_one_line() -> None:
    """A defect exits with 1 and one line that names --traceback, which shows the stack."""
    raises = "p.definition = lambda *_, **__: 1 / 0"
    broken = f"import ml.commands.pipeline_definition as p; from ml.cli import main; {raises}; main()"
    done = fraudops("pipeline", "definition", program=broken)
    assert done.returncode == 1
    assert done.stderr.startswith("error: unexpected: ZeroDivisionError: division by zero; run again")
    assert done.stderr.count("\n") == 1
    assert "--traceback" in done.stderr
    traced = fraudops("--traceback", "pipeline", "definition", program=broken)
    assert traced.returncode == 1
    assert "Traceback" in traced.stderr
    assert traced.stderr.splitlines()[-1] == done.stderr.strip()


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("data", "synthesise", "--out", "x.txt"), "--out"),
        (("data", "synthesise", "--months", "3"), "--months"),
        (("train", "--resume", "garbage"), "--resume"),
        (("train", "--resume", ARN, "--start", "2026-01-01"), "--start"),
        (("train", "--resume", ARN, "--end", "2026-01-01"), "--end"),
        (("train", "--resume", ARN, "--request", "20260301T060000Z-data-drift"), "--request"),
        (("train", "--resume", ARN, "--dry-run"), "--dry-run"),
        (("bootstrap", "--reviewer", "bob"), "--reviewer"),
        (("bootstrap", "--status-app", "1"), "--status-app"),
        (("bootstrap", "--bot-app", "1"), "--bot-app"),
        (("bootstrap", "--repository", "fraudops"), "--repository"),
        (("bootstrap", "--configure"), "--repository"),
        (("bootstrap", "--parameter", "Encrption=customer-key"), "Encryption"),
        (("doctor", "--repository", "https://github.com/acme/fraudops"), "--repository"),
        (("teardown", "--repository", "acme/"), "--repository"),
        (("train", "--repo", "nowhere"), "--repo"),
        (("validate", "--repo", "nowhere"), "--repo"),
        (("score", "m.tar.gz", "a.csv", "--out", "scores.txt"), "--out"),
        (("score", "m.tar.gz", "a.csv", "--out", "s.csv", "--names", "nowhere.yaml"), "--names"),
        (("serving-image", "--base-image", "python:3.12"), "--base-image"),
        (("serving-image",), "FRAUDOPS_SERVING_BASE_IMAGE"),
        (("record-failure",), "FRAUDOPS_HAND_OVER"),
        (("demo", "--data", "nowhere.csv"), "--data"),
    ],
)
def test_useless_and_invalid_options_exit_with_2(arguments: tuple[str, ...], option: str, tmp_path: Path) -> None:
    """An invalid value and an option without effect are usage errors that name the option."""
    done = fraudops(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert option in done.stderr
    assert "interrupted" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("plan", "--pull-request", "seven"), "must be a whole number (got 'seven')"),
        (("confirm-ci", "--run", "9" * 5_000), "must be a smaller number (got '999"),
        (("evaluate", "m.tar.gz", "a.csv", "--alert-budget", "much"), "must be a number (got 'much')"),
        (("simulate", "--months", "0"), "must be at least 1 (got "),
        (("simulate", "--months", "121"), "must be at most 120 (got "),
        (("labels", "import", "a.csv", "--channel", "rumour"), "'--channel': 'rumour' is not one of 'analyst', "),
    ],
)
def test_wrong_value_is_named(arguments: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """With what it must be; typer alone has pydantic's words, and not the value."""
    done = fraudops(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert expected in " ".join(done.stderr.replace("│", " ").split())


def test_stopped_emulators_are_reported(tmp_path: Path) -> None:
    """`status` exits with 0 and reports that they do not run; `down` says that none runs."""
    folder = ("--dir", str(tmp_path / "cloud"))
    status = fraudops("local", "status", *folder, "--json")
    assert (status.returncode, json.loads(status.stdout)["running"]) == (0, False)
    down = fraudops("local", "down", *folder, "--json")
    assert down.returncode == 0
    report = json.loads(down.stdout)
    assert (report["running"], report["ended"]) == (False, 0)
    text = fraudops("local", "down", *folder).stdout
    assert re.search(r"^running +no *$", text, re.M)
    assert "ended" not in text


def test_stand_in_is_drawn_and_reported_as_json(tmp_path: Path) -> None:
    """`data synthesise --json` prints what it wrote, and nothing else, to standard output."""
    out = tmp_path / "standin.parquet"
    done = fraudops("data", "synthesise", "--rows", "5000", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["rows"] == 5000
    assert out.stat().st_size == report["bytes"]


def test_invalid_year_is_refused_before_it_starts(tmp_path: Path) -> None:
    """`simulate` lists the available scenarios and refuses a year without months."""
    done = fraudops("simulate", "--scenario", "calm", "--out", str(tmp_path / "year"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert all(name in done.stderr for name in ("--scenario", "both", "capture-outage", "unlearnable", "'calm'"))
    done = fraudops("simulate", "--months", "0", "--out", str(tmp_path / "year"))
    assert done.returncode == 2
    assert not (tmp_path / "year").exists()


def test_terminated_verb_cleans_up_and_exits_with_143(tmp_path: Path) -> None:
    """SIGTERM, as sent to a cancelled job, stops a demo and its emulators; no process remains."""
    out = tmp_path / "demo"
    process = subprocess.Popen(
        [sys.executable, "-c", "from ml.cli import main; main()", "demo", "--out", str(out)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "push this repository" in line:  # both emulators are up
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    commands = [" ".join(found.info["cmdline"] or []) for found in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if str(out) in command] == []


def test_interrupted_verb_says_how_to_go_on() -> None:
    """Ctrl-C exits with 130 and one line."""
    program = f"import ml.playground.daemon as d; d.status = lambda _: (_ for _ in ()).throw(KeyboardInterrupt); {MAIN}"
    done = fraudops("local", "status", program=program)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.strip() == "error: interrupted; run the same command again to continue or to start over"


def test_version_is_that_of_the_package() -> None:
    """`fraudops --version` prints the installed package's version and exits with 0."""
    done = fraudops("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"fraudops {metadata.version('fraudops')}")


@pytest.mark.parametrize("verb", [("local", "up"), ("local", "status"), ("demo",), ("simulate",)])
def test_local_verbs_name_missing_emulators(verb: tuple[str, ...]) -> None:
    """Without the emulators the local verbs exit with 10 and one line that says how to install them."""
    hidden = (
        "import importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *rest: None if name.startswith('local_') else find(name, *rest); "
        "from ml.cli import main; main()"
    )
    done = fraudops(*verb, program=hidden)
    assert done.returncode == 10
    assert done.stderr.startswith("error: local_aws and local_github not installed; in a checkout run `make demo` once")


def test_workflow_verbs_import_no_emulator() -> None:
    """The verbs that workflows call import neither emulator, so the product runs without them."""
    verbs = ", ".join(f"ml.commands.{path.stem}" for path in sorted((ROOT / "ml/commands").glob("[a-z]*.py")))
    code = f"import sys, {verbs}; print([name for name in sys.modules if name.startswith('local_')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
