"""The program that `make secrets` runs decides what fails; the scan itself runs there, in ci.yml and in .ci/run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests import secret_scan

KNOWN = "tests/a.py:\n  reason: A digest that the test expects.\n  found: {Hex High Entropy String: [aa]}\n"
FOUND = ("tests/a.py", "Hex High Entropy String", "aa")


def report(*digests: str, plugins: int = 20) -> dict[str, Any]:
    """A report of detect-secrets with findings in one file."""
    found = [
        {"type": FOUND[1], "hashed_secret": each, "line_number": 7, "is_verified": False, "filename": FOUND[0]}
        for each in digests
    ]
    return {"plugins_used": [{}] * plugins, "results": {FOUND[0]: found} if found else {}}


def test_finding_fails_unless_it_is_known() -> None:
    """Wherever its line has moved to; the message has place, kind and what to do, and not the text."""
    known = secret_scan.known(KNOWN)
    assert known == {FOUND}
    assert secret_scan.problems(secret_scan.read(report("aa")), known) == []
    (told,) = secret_scan.problems(secret_scan.read(report("aa", "bb")), known)
    assert told.startswith("tests/a.py:7: Hex High Entropy String (bb): if it is a secret, revoke it first")


def test_known_finding_that_is_gone_fails() -> None:
    """The list allows nothing that is not there."""
    (told,) = secret_scan.problems(secret_scan.read(report()), secret_scan.known(KNOWN))
    assert told == "known_secrets.yaml: tests/a.py has no Hex High Entropy String aa anymore: delete it"


def test_scan_without_detectors_is_an_error() -> None:
    """A configuration that looks for nothing finds nothing."""
    with pytest.raises(ValueError, match="3 kinds of secrets only"):
        secret_scan.read(report(plugins=3))


def test_reason_is_needed() -> None:
    """The error names the file."""
    with pytest.raises(ValueError, match=r"tests/a\.py: must have a reason"):
        secret_scan.known(re.sub("reason: .*", "reason: fine", KNOWN))


def test_known_findings_are_in_files_that_exist() -> None:
    """And each has the SHA-1 of a text."""
    for file, kind, digest in secret_scan.known(secret_scan.KNOWN.read_text("utf-8")):
        assert (secret_scan.ROOT / file).is_file(), file
        assert re.fullmatch(r"[0-9a-f]{40}", digest), kind


def test_files_that_programs_write_are_left_out() -> None:
    """Locks have thousands of hashes; no other file of requirements/ is left out."""
    for name in ("requirements/run.lock", "ml/steps/requirements.txt", "docs/years/concept-1.json"):
        assert re.search(secret_scan.GENERATED, name)
    for name in (
        "requirements/run.in",
        "docs/performance.json",
        "model-config/training/data.yaml",
        "ml/lock_installer.py",
    ):
        assert not re.search(secret_scan.GENERATED, name)
