"""Compares every lock with the advisories of OSV, those of Python by pip-audit. `make vulnerabilities` runs it.

It needs the network.

It fails on an advisory that requirements/ignored-vulnerabilities.toml does not ignore, on an ignored one whose date has
passed, and on an ignored one that no lock has. Runs in the interpreter that has pip-audit.

Source: OSV, "POST /v1/query" (https://google.github.io/osv.dev/post-v1-query/).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[1]
IGNORED = ROOT / "requirements/ignored-vulnerabilities.toml"
OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
SERVICE = ("--vulnerability-service", "osv")
OSV = "https://api.osv.dev/v1/query"
_TIMEOUT_SECONDS = 60
_MIN_REASON_CHARS = 30
_MAX_DAYS = 180
"""An advisory is looked at again after this time at the latest."""


@dataclass(frozen=True, order=True)
class Advisory:
    """An advisory about a version of a package that a lock has. `fixed` are the versions without the defect."""

    id: str
    package: str
    version: str
    lock: str
    fixed: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """An advisory that is accepted until a day, for a reason."""

    id: str
    package: str
    reason: str
    until: date


def locks() -> list[Path]:
    """Every list of pinned packages of Python that something installs."""
    return sorted([*(ROOT / "requirements").glob("*.lock"), *(ROOT / "ml").glob("*/requirements.txt")])


def scan(lock: Path, service: Iterable[str] = SERVICE) -> list[Advisory]:
    """The advisories about the pins of `lock`.

    Raises:
        RuntimeError: pip-audit did not look at the lock, as when the service cannot be reached.
    """
    command = [sys.executable, "-m", "pip_audit", *OPTIONS, *service, "--requirement", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise RuntimeError(f"{lock.name}: pip-audit ended with {done.returncode}: {done.stderr[-2000:]}")
    return read(json.loads(done.stdout), lock.relative_to(ROOT).as_posix() if lock.is_relative_to(ROOT) else lock.name)


def npm_locks() -> list[Path]:
    """Every lock of npm."""
    return [ROOT / "emulators/aws/tests/iam/oracle/package-lock.json", ROOT / "tests/axe/package-lock.json"]


def npm_packages(text: str) -> list[tuple[str, str]]:
    """The name and version of each package in a lock of npm, sorted.

    Raises:
        RuntimeError: it has none, or is of a version without `packages`.
    """
    packages = json.loads(text).get("packages", {})
    found = {
        (each.get("name", path.rpartition("node_modules/")[2]), each["version"])
        for path, each in packages.items()
        if path and not each.get("link")
    }
    if not found:
        raise RuntimeError("a lock of npm has no packages")
    return sorted(found)


def scan_npm(lock: Path, address: str = OSV) -> list[Advisory]:
    """The advisories about the packages of `lock`, asked of OSV one by one.

    Raises:
        OSError: the service cannot be reached, or refuses the question.
        RuntimeError: the lock has no packages, or an answer is not whole.
    """
    shown = lock.relative_to(ROOT).as_posix() if lock.is_relative_to(ROOT) else lock.name
    found = []
    for name, version in npm_packages(lock.read_text("utf-8")):
        question = json.dumps({"version": version, "package": {"name": name, "ecosystem": "npm"}}).encode()
        request = Request(address, question, {"Content-Type": "application/json"})  # noqa: S310 - OSV's, or a test's own
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            found += read_osv(json.load(answer), name, version, shown)
    return found


def read_osv(answer: Mapping[str, Any], package: str, version: str, lock: str) -> list[Advisory]:
    """The advisories in OSV's answer about one version of a package; those that were withdrawn do not count.

    Raises:
        RuntimeError: the answer has more pages.
    """
    if answer.get("next_page_token"):
        raise RuntimeError(f"{lock}: OSV's answer about {package} {version} is not whole")
    return [
        Advisory(each["id"], package, version, lock, tuple(_fixed(each, package)))
        for each in answer.get("vulns", [])
        if "withdrawn" not in each
    ]


def _fixed(advisory: Mapping[str, Any], package: str) -> list[str]:
    """The versions of `package` that end a range which the advisory is about."""
    return [
        event["fixed"]
        for affected in advisory.get("affected", [])
        if affected.get("package", {}).get("name") == package
        for span in affected.get("ranges", [])
        for event in span["events"]
        if span["type"] != "GIT" and "fixed" in event
    ]


def read(report: Mapping[str, Any], lock: str) -> list[Advisory]:
    """The advisories in pip-audit's report.

    Raises:
        RuntimeError: pip-audit skipped a package, or looked at none.
    """
    packages = report["dependencies"]
    skipped = [f"{each['name']} ({each['skip_reason']})" for each in packages if "skip_reason" in each]
    if skipped or not packages:
        raise RuntimeError(f"{lock}: pip-audit looked at {len(packages)} packages and skipped {', '.join(skipped)}")
    return [
        Advisory(found["id"], each["name"], each["version"], lock, tuple(found["fix_versions"]))
        for each in packages
        for found in each["vulns"]
    ]


def ignored(text: str) -> list[Ignored]:
    """The advisories that the file ignores, in its order; ValueError names what an entry lacks, or one given twice."""
    entries: list[Ignored] = []
    for entry in tomllib.loads(text).get("ignored", []):
        missing = {"id", "package", "reason", "until"} - entry.keys()
        if missing or not isinstance(entry["until"], date) or len(entry["reason"]) < _MIN_REASON_CHARS:
            raise ValueError(f"{entry}: must have id, package, until (a day) and reason ({_MIN_REASON_CHARS} letters)")
        if any((each.id, each.package) == (entry["id"], entry["package"]) for each in entries):
            raise ValueError(f"{entry['id']} of {entry['package']} has two entries; delete one")
        entries.append(Ignored(**{name: entry[name] for name in ("id", "package", "reason", "until")}))
    return entries


def problems(found: Iterable[Advisory], accepted: Iterable[Ignored], today: date) -> list[str]:
    """What has to be done, one line each; empty if nothing."""
    advisories = sorted(found)
    by_id = {(each.id, each.package): each for each in accepted}
    told = [
        f"{each.lock}: {each.package} {each.version} has {each.id}, "
        + (f"corrected in {', '.join(each.fixed)}: {_remedy(each.lock)}" if each.fixed else "not corrected yet")
        for each in advisories
        if (each.id, each.package) not in by_id
    ]
    for (identifier, package), each in by_id.items():
        if (identifier, package) not in {(advisory.id, advisory.package) for advisory in advisories}:
            told.append(f"{IGNORED.name}: no lock has {identifier} of {package} anymore: delete the entry")
        elif each.until < today:
            told.append(f"{IGNORED.name}: {identifier} of {package} was accepted until {each.until}: look at it again")
        elif (each.until - today).days > _MAX_DAYS:
            told.append(f"{IGNORED.name}: {identifier} of {package} must be looked at within {_MAX_DAYS} days")
    return told


def _remedy(lock: str) -> str:
    return "install that with npm in its folder" if lock.endswith("package-lock.json") else "run `make lock`"


def main() -> None:
    """Scans every lock."""
    found = [advisory for lock in locks() for advisory in scan(lock)]
    found += [advisory for lock in npm_locks() for advisory in scan_npm(lock)]
    told = problems(found, ignored(IGNORED.read_text("utf-8")), datetime.now(UTC).date())
    sys.stdout.write("".join(f"{line}\n" for line in told))
    sys.stdout.write(f"{len(locks()) + len(npm_locks())} locks, {len(set(found))} advisories, {len(told)} problems\n")
    sys.exit(1 if told else 0)


if __name__ == "__main__":
    main()
