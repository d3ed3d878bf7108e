"""The program that `make vulnerabilities` runs decides what fails; its look-up of Python's needs the network."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import dependency_audit
from tests.dependency_audit import Advisory

TODAY = date(2026, 11, 28)
ENTRY = """
[[ignored]]
id = "GHSA-1"
package = "a"
reason = "The function with the defect is not called here."
until = 2026-12-31
"""


def report(*vulnerabilities: str, **changes: Any) -> dict[str, Any]:
    """pip-audit's report about one package."""
    found = [{"id": each, "fix_versions": ["1.1"], "aliases": [], "description": ""} for each in vulnerabilities]
    return {"dependencies": [{"name": "a", "version": "1.0", "vulns": found, **changes}], "fixes": []}


def problems(*vulnerabilities: str, entries: str = "", today: date = TODAY) -> list[str]:
    """The problems of one lock."""
    found = dependency_audit.read(report(*vulnerabilities), "requirements/run.lock")
    return dependency_audit.problems(found, dependency_audit.ignored(entries), today)


def test_advisory_fails_with_package_lock_and_remedy() -> None:
    """A corrected version is named; without advisories nothing fails."""
    assert problems() == []
    assert problems("GHSA-1") == ["requirements/run.lock: a 1.0 has GHSA-1, corrected in 1.1: run `make lock`"]
    without = Advisory("GHSA-2", "a", "1.0", "x.lock", ())
    assert dependency_audit.problems([without], [], TODAY) == ["x.lock: a 1.0 has GHSA-2, not corrected yet"]


def test_ignored_advisory_fails_once_its_day_has_passed() -> None:
    """An entry is for one advisory of one package, is needed, and ends within half a year."""
    assert problems("GHSA-1", entries=ENTRY) == []
    assert "was accepted until 2026-12-31" in problems("GHSA-1", entries=ENTRY, today=date(2027, 1, 1))[0]
    assert "within 180 days" in problems("GHSA-1", entries=ENTRY.replace("2026-12", "2027-12"))[0]
    assert "delete the entry" in problems(entries=ENTRY)[0]
    assert len(problems("GHSA-1", entries=ENTRY.replace('"a"', '"b"'))) == 2


@pytest.mark.parametrize(
    ("old", "new"), [("until = 2026-12-31", ""), ("The function with", ""), ("2026-12-31", '"soon"')]
)
def test_entry_without_a_reason_or_a_day_is_refused(old: str, new: str) -> None:
    """The error shows the entry."""
    changed = ENTRY.replace(old, new).replace("the defect is not called here.", "x")
    with pytest.raises(ValueError, match="must have id, package, until"):
        dependency_audit.ignored(changed)


def test_advisory_that_is_ignored_twice_is_refused() -> None:
    """One of the two days would be lost. The same advisory of another package is another entry."""
    with pytest.raises(ValueError, match="GHSA-1 of a has two entries"):
        dependency_audit.ignored(ENTRY + ENTRY.replace("2026-12-31", "2026-12-01"))
    assert len(dependency_audit.ignored(ENTRY + ENTRY.replace('"a"', '"b"'))) == 2


@contextmanager
def osv(answers: dict[str, Any], asked: list[Any]) -> Iterator[str]:
    """The address of a service that answers by the package's name as OSV does, and notes the questions."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(question)
            answer = answers.get(question["package"]["name"])
            self.send_response(200 if answer is not None else 500)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def test_packages_of_npm_are_asked_of_osv(tmp_path: Path) -> None:
    """Each package by name and version; withdrawn advisories do not count, and no answer is a failure."""
    lock = tmp_path / "package-lock.json"
    packages = {"": {"version": "9"}, "node_modules/a": {"version": "1.0"}}
    packages["node_modules/a/node_modules/@b/c"] = {"version": "2.0"}
    lock.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    affected = [
        {"package": {"name": name}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}
        for name, fixed in (("a", "1.1"), ("other", "7"))
    ]
    vulns = [{"id": "GHSA-1", "affected": affected}, {"id": "GHSA-2", "withdrawn": "2026-01-01T00:00:00Z"}]
    asked: list[Any] = []
    with osv({"a": {"vulns": vulns}, "@b/c": {}}, asked) as address:
        (found,) = dependency_audit.scan_npm(lock, address)
    assert found == Advisory("GHSA-1", "a", "1.0", "package-lock.json", ("1.1",))
    assert [(each["package"], each["version"]) for each in asked] == [
        ({"name": "@b/c", "ecosystem": "npm"}, "2.0"),
        ({"name": "a", "ecosystem": "npm"}, "1.0"),
    ]
    assert dependency_audit.problems([found], [], TODAY)[0].endswith(
        "corrected in 1.1: install that with npm in its folder"
    )
    with osv({"@b/c": {}}, []) as address, pytest.raises(OSError, match="500"):
        dependency_audit.scan_npm(lock, address)
    with pytest.raises(RuntimeError, match="is not whole"):
        dependency_audit.read_osv({"next_page_token": "x"}, "a", "1.0", "x")
    with pytest.raises(RuntimeError, match="no packages"):
        dependency_audit.npm_packages('{"lockfileVersion": 1, "dependencies": {}}')


@pytest.mark.parametrize("found", [{"dependencies": []}, report(skip_reason="could not be found")])
def test_package_that_was_not_looked_at_fails(found: dict[str, Any]) -> None:
    """A lock that pip-audit could not read is not a lock without advisories."""
    with pytest.raises(RuntimeError, match=r"x\.lock: pip-audit looked at \d packages and skipped"):
        dependency_audit.read(found, "x.lock")


def test_every_lock_is_looked_at() -> None:
    """Those of requirements/, those that jobs install, and those of npm."""
    names = {lock.relative_to(dependency_audit.ROOT).as_posix() for lock in dependency_audit.locks()}
    assert {"requirements/run.lock", "requirements/audit.lock", "ml/steps/requirements.txt"} <= names
    root = dependency_audit.ROOT
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    locks = {root / name for name in tracked.splitlines() if Path(name).name == "package-lock.json"}
    assert set(dependency_audit.npm_locks()) == locks
    assert all(dependency_audit.npm_packages(lock.read_text("utf-8")) for lock in locks)
    assert dependency_audit.ignored(dependency_audit.IGNORED.read_text("utf-8")) is not None
