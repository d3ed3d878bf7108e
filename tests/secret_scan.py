"""Looks for secrets in every tracked file, by detect-secrets. `make secrets` runs it; it needs no network.

It fails on what tests/known_secrets.yaml does not list, and on what that file lists and no file has anymore. A finding
is known by its file, its kind and the SHA-1 of its text, not by its line. Runs in the interpreter that has
detect-secrets and PyYAML.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
KNOWN = ROOT / "tests/known_secrets.yaml"
# Hashes of packages, figures of simulated years and pictures: files that programs write whole.
GENERATED = r"(\.lock$|requirements\.txt$|package-lock\.json$|^docs/years/|^docs/notebooks/.*\.ipynb$)"
_MIN_REASON_CHARS = 20

Finding = tuple[str, str, str]
"""File, kind and SHA-1."""


def scan(root: Path) -> dict[Finding, int]:
    """What detect-secrets finds in the tracked files of `root`, with the line.

    Raises:
        RuntimeError: detect-secrets failed.
    """
    command = [sys.executable, "-m", "detect_secrets", "scan", "--no-verify", "--exclude-files", GENERATED]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"detect-secrets ended with {done.returncode}: {done.stderr[-2000:]}")
    return read(json.loads(done.stdout))


def read(report: Mapping[str, Any]) -> dict[Finding, int]:
    """The findings in a report of detect-secrets, with the line; ValueError if it had no detectors."""
    if len(report["plugins_used"]) < 10:
        raise ValueError(f"detect-secrets looked for {len(report['plugins_used'])} kinds of secrets only")
    return {
        (file, found["type"], found["hashed_secret"]): found["line_number"]
        for file, findings in report["results"].items()
        for found in findings
    }


def known(text: str) -> set[Finding]:
    """The findings that are no secrets: by file, a reason and SHA-1s by kind. ValueError if a reason is missing."""
    found = set()
    for file, about in (yaml.safe_load(text) or {}).items():
        if len(about["reason"]) < _MIN_REASON_CHARS:
            raise ValueError(f"{file}: must have a reason of {_MIN_REASON_CHARS} letters or more")
        found |= {(file, kind, str(digest)) for kind, digests in about["found"].items() for digest in digests}
    return found


def problems(found: Mapping[Finding, int], accepted: set[Finding]) -> list[str]:
    """What has to be done, one line each; empty if nothing. The text of a finding is not shown."""
    new = [
        f"{file}:{line}: {kind} ({digest}): if it is a secret, revoke it first and take it out; if not, list it in "
        f"{KNOWN.name} with a reason"
        for (file, kind, digest), line in sorted(found.items())
        if (file, kind, digest) not in accepted
    ]
    gone = sorted(accepted - set(found))
    return new + [f"{KNOWN.name}: {file} has no {kind} {digest} anymore: delete it" for file, kind, digest in gone]


def main() -> None:
    """Scans the repository, or another folder's tracked files against no list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="scan this repository, for which nothing is known")
    root = parser.parse_args().root
    found = scan(root or ROOT)
    told = problems(found, set() if root else known(KNOWN.read_text("utf-8")))
    sys.stdout.write("".join(f"{line}\n" for line in told))
    sys.stdout.write(f"{len(found)} findings, {len(told)} problems\n")
    sys.exit(1 if told else 0)


if __name__ == "__main__":
    main()
