"""Fixtures of every test: no AWS account, no configuration of the user, no network except loopback."""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import fuzzing, state_guard

ROOT = Path(__file__).resolve().parents[1]
RECORDER = pytest.StashKey[Any]()
"""The `DecisionRecorder` of this process; not set where moto is not installed."""
PASSED = pytest.StashKey[bool]()
_GARBAGE_OBJECTS = 20_000
"""New objects after which Python collects the youngest ones; 700 by default."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--permission-report FILE`: what the AWS emulators of this session granted and used, of all runs together.

    `--fuzz FOLDER` and `--fuzz-examples N`: random examples for property tests, as `make fuzz` runs them.
    """
    parser.addoption("--permission-report", type=Path, help="JSON file; needs --basetemp")
    parser.addoption("--fuzz", type=Path, help="try random examples; the folder keeps those that fail")
    parser.addoption("--fuzz-examples", type=int, default=1000, help="examples of a test without its own number")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the report of permissions, once all workers have ended."""
    path, folder = session.config.getoption("--permission-report"), session.config.getoption("basetemp")
    if path is None or hasattr(session.config, "workerinput"):
        return
    if folder is None:
        raise pytest.UsageError("--permission-report reads the emulators' folders: give their place with --basetemp")
    from tests.harness.platform import permission_report

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(permission_report.of_runs(Path(folder)), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Starts to notice reads of the repository's state, and to record the decisions of AWS emulators, where the suite
    has them.
    """
    if (folder := config.getoption("fuzz")) is None:
        fuzzing.load_fixed_profile()
    else:
        fuzzing.load_random_profile(folder, config.getoption("fuzz_examples"))
    state_guard.install()
    config.add_cleanup(gc.unfreeze)  # what is frozen is not freed at the end, which DuckDB reports as leaks
    if importlib.util.find_spec("moto") is None:  # SageMaker's container, whose versions `make container` tests
        return
    from tests.harness.aws.decisions import DecisionRecorder

    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    config.stash[RECORDER] = DecisionRecorder()
    config.stash[RECORDER].install(patch)


def pytest_report_header() -> str | None:
    """Which Python runs the jobs of the end-to-end tests."""
    if importlib.util.find_spec("moto") is None:
        return None
    from ml.playground import job_interpreter
    from tests.harness.platform.job_images import IMAGES

    return job_interpreter.describe(IMAGES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Keeps whether the test passed."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Checks what the test and its fixtures read, and the decisions on their calls, once these have ended."""
    result = yield
    reads = state_guard.take()
    if RECORDER in item.config.stash:
        from tests.harness.aws import decisions

        decisions.check(item, item.config.stash[RECORDER].take(), passed=item.stash.get(PASSED, False))
    if reads:
        pytest.fail(f"a test reads this repository's own state, which adopters change: {'; '.join(reads)}")
    return result


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Imports the tests without Python's garbage collector, which then ignores what they imported and runs less often.

    The imports make millions of objects that live to the end; each full collection would look at all of them.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(_GARBAGE_OBJECTS, 10, 50)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts long tests first, so that no worker is left with one of them at the end; checks what modules have read."""
    if reads := state_guard.take():
        raise pytest.UsageError(f"a test reads this repository's own state, which adopters change: {'; '.join(reads)}")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def parsed_once() -> Iterator[None]:
    """botocore's JSON files are parsed once per process instead of once per session.

    Each session parses the models of S3, because a client changes the paths in them.
    """
    if importlib.util.find_spec("botocore") is None:  # SageMaker's container, whose versions `make container` tests
        yield
        return
    from botocore.loaders import JSONFileLoader

    loader = JSONFileLoader()
    parse = loader.load_file
    shared = functools.cache(parse)

    def load(_: JSONFileLoader, path: str) -> Any:
        return parse(path) if f"{os.sep}s3" in path else shared(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", load)
        yield


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Removes variables of AWS, GitHub and fraudops; Git and the SDKs get an empty home."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GITHUB_", "GH_", "FRAUDOPS_", "GIT_")) and name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    yield


@pytest.fixture
def repository_root() -> Path:
    """The root of this repository."""
    return ROOT


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a moto server over HTTP, one for each test module."""
    from tests.harness.aws import moto_server

    with moto_server.served() as url:
        yield url
