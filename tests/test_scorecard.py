"""The checks of OpenSSF Scorecard: SECURITY.md names the tests that hold each, and here are the rest."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

from tests.harness.workflows.files import job

ROOT = Path(__file__).resolve().parents[1]
CHECKS = {
    "Binary-Artifacts", "Branch-Protection", "CI-Tests", "CII-Best-Practices", "Code-Review", "Contributors",
    "Dangerous-Workflow", "Dependency-Update-Tool", "Fuzzing", "License", "Maintained", "Packaging",
    "Pinned-Dependencies", "SAST", "SBOM", "Security-Policy", "Signed-Releases", "Token-Permissions", "Vulnerabilities",
    "Webhooks",
}  # fmt: skip
"""Those of Scorecard 5, docs/checks.md."""
BINARIES = (b"\x7fELF", b"MZ", b"PK\x03\x04", b"\x1f\x8b", b"\xca\xfe\xba\xbe", b"!<arch>", b"\x28\xb5\x2f\xfd")
"""The beginnings of programs, archives and libraries."""


def tracked() -> list[Path]:
    """Every file of the repository but its settings and records, which adopters change."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listing.split("\0") if name and not name.startswith("model-config/")]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def test_each_check_is_held_or_not_applicable() -> None:
    """test_security_page.py looks whether the tests of a row exist."""
    section = (ROOT / "SECURITY.md").read_text("utf-8").split("### Checks of OpenSSF Scorecard")[1]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")][1:]
    held = {name for row in rows for name in row.split(", ")}
    without = re.search(r"Not applicable to a template: (.*)\.", section)
    assert without is not None
    left_out = set(without[1].split(", "))
    assert held | left_out == CHECKS
    assert not held & left_out


def test_no_binary_is_tracked() -> None:
    """Nobody can review one."""
    found = []
    for file in tracked():
        with file.open("rb") as opened:
            if opened.read(8).startswith(BINARIES) or file.suffix in {".pyc", ".so", ".jar", ".whl", ".exe", ".pkl"}:
                found.append(file.relative_to(ROOT).as_posix())
    assert found == []


def test_licence_and_policy_are_where_github_looks() -> None:
    """At the root; the policy says how to report in private."""
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
    assert "private reporting" in (ROOT / "SECURITY.md").read_text("utf-8")


def test_images_are_named_by_digest_and_their_packages_by_hash() -> None:
    """A Dockerfile has no base of its own and installs from a lock."""
    files = [file for file in tracked() if file.name == "Dockerfile"]
    assert files
    for file in files:
        text = file.read_text("utf-8")
        assert re.findall(r"^FROM (.*)$", text, re.M) == ["${BASE_IMAGE}"], file
        for line in re.findall(r"^RUN .*install.*$", text, re.M):
            assert "--require-hashes" in line, line


def test_scripts_install_from_locks_with_hashes() -> None:
    """Of jobs and make; what has no hash is the repository itself, or is not fetched."""
    scripts = [file for file in tracked() if file.suffix == ".sh" or file.name in ("Makefile", "run")]
    assert len(scripts) >= 3
    for file in scripts:
        for line in re.findall(r"^[^#\n]*\bpip install\b.*$", file.read_text("utf-8"), re.M):
            assert "--require-hashes" in line or "--no-index" in line, f"{file.name}: {line}"


def test_security_rules_of_ruff_are_on() -> None:
    """For the product without exception; what is left out has a reason beside it."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in rules["select"]
    assert {rule for rule in rules["ignore"] if rule.startswith("S")} <= {"S603", "S607"}


def test_released_image_has_a_bill_of_materials_and_an_attestation() -> None:
    """Both are of the digest that the build step names. A run attests only what it pushed."""
    steps = {step["name"]: step for step in job("serving-image.yml", "build").steps()}
    build, kept, attested = (
        steps[name] for name in ("Build and push", "Keep the bill of materials", "Attest the image's provenance")
    )
    assert kept["with"]["path"] == build["env"]["FRAUDOPS_SBOM"]
    assert attested["with"] == {
        "subject-name": "${{ steps.image.outputs.name }}",
        "subject-digest": "${{ steps.image.outputs.digest }}",
    }
    assert "steps.image.outputs.state == 'pushed'" in attested["if"].split(" && ")
    assert build["id"] == "image"
