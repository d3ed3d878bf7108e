"""Runs checkov on the templates and workflow files, and checks each suppression. `make checkov` runs it.

It fails on any finding, on a suppression without a reason, and on one that suppresses nothing: a copy of the files
whose suppressions have no effect must have the suppressed findings. Uses the standard library and the checkov of the
interpreter that runs it; needs no network.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (Path("infra"), Path(".github"))
# Without --skip-download checkov asks its vendor's server for guidelines.
OPTIONS = (
    "--framework",
    "cloudformation",
    "github_actions",
    "--skip-download",
    "--compact",
    "--output",
    "json",
)
_SKIP = re.compile(r"checkov:skip=|^ +- id: CKV", re.MULTILINE)
_MIN_REASON_CHARS = 30

Finding = tuple[str, str]
"""A check's id, and the resource with its file."""


def scan(folder: Path) -> tuple[set[Finding], dict[Finding, str]]:
    """The failed checks below `folder`, and the suppressed ones with their reasons.

    Raises:
        RuntimeError: checkov could not read a file, or scanned nothing.
    """
    program = Path(sys.executable).parent / "checkov"
    done = subprocess.run(
        [program, "--directory", ".", *OPTIONS], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"checkov ended with {done.returncode}: {done.stderr[-2000:]}")
    return read(json.loads(done.stdout))


def read(answer: Any) -> tuple[set[Finding], dict[Finding, str]]:
    """The findings of checkov's JSON, a report or a list of reports."""
    failed: set[Finding] = set()
    skipped: dict[Finding, str] = {}
    scanned = 0
    for report in answer if isinstance(answer, list) else [answer]:
        if "results" not in report:  # a framework without files
            continue
        scanned += report["summary"]["resource_count"] + report["summary"]["passed"]
        errors = report["results"].get("parsing_errors", [])
        if errors:
            raise RuntimeError(f"checkov could not read {', '.join(map(str, errors))}")
        failed |= {_finding(item) for item in report["results"].get("failed_checks", [])}
        for item in report["results"].get("skipped_checks", []):
            skipped[_finding(item)] = str(item["check_result"].get("suppress_comment") or "").strip()
    if not scanned:
        raise RuntimeError("checkov found nothing to scan")
    return failed, skipped


def _finding(item: Mapping[str, Any]) -> Finding:
    return str(item["check_id"]), f"{Path(item['file_path']).name}:{item['resource']}"


def without_suppressions(text: str) -> str:
    """A file whose suppressions have no effect."""
    return text.replace("checkov:skip=", "suppressed:skip=").replace("      checkov:\n", "      suppressed:\n")


def problems(
    failed: Collection[Finding], skipped: Mapping[Finding, str], unsuppressed: Collection[Finding], declared: int
) -> list[str]:
    """What is wrong, one line each.

    Args:
        failed: findings with the suppressions in effect.
        skipped: suppressed findings with their reasons.
        unsuppressed: findings without the suppressions.
        declared: the number of suppressions in the files.
    """
    found = [f"{check} at {place}: fix it, or suppress it beside the resource with a reason" for check, place in failed]
    for (check, place), reason in skipped.items():
        if len(reason) < _MIN_REASON_CHARS:
            found.append(f"{check} at {place}: is suppressed without a reason (got {reason!r})")
        if (check, place) not in unsuppressed:
            found.append(f"{check} at {place}: is suppressed but passes; remove the suppression")
    if declared != len(skipped):
        found.append(f"{declared} suppressions are in the files, but checkov applied {len(skipped)}: one is misplaced")
    return sorted(found)


def main() -> int:
    """Exit code 1 and one line for each problem on standard error."""
    files = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.y*ml"))
    with tempfile.TemporaryDirectory() as place:
        for file in files:
            for folder, text in (
                ("given", file.read_text("utf-8")),
                ("bare", without_suppressions(file.read_text("utf-8"))),
            ):
                copy = Path(place) / folder / file.relative_to(ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(text, "utf-8")
        failed, skipped = scan(Path(place) / "given")
        unsuppressed, _ = scan(Path(place) / "bare")
    declared = sum(len(_SKIP.findall(file.read_text("utf-8"))) for file in files)
    found = problems(failed, skipped, unsuppressed, declared)
    for line in found:
        sys.stderr.write(f"checkov: {line}\n")
    if not found:
        sys.stdout.write(f"checkov: no finding in {len(files)} files; {len(skipped)} suppressed with a reason\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
