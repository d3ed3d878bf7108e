"""The judgement of `make checkov` about findings and suppressions, without checkov itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checkov_run import problems, read, without_suppressions

ONE = ("CKV_AWS_18", "platform.yaml:AWS::S3::Bucket.LakeLogs")
REASON = "This bucket holds access logs; a log of it would grow with every log."


def report(failed: list[str], skipped: dict[str, str], errors: list[str]) -> dict[str, Any]:
    """A report as checkov writes it, with the fields that are read."""

    def item(check: str, reason: str = "") -> dict[str, Any]:
        return {
            "check_id": check,
            "file_path": "/platform.yaml",
            "resource": "AWS::S3::Bucket.LakeLogs",
            "check_result": {"result": "SKIPPED", "suppress_comment": reason},
        }

    return {
        "summary": {"resource_count": 1, "passed": 3},
        "results": {
            "failed_checks": [item(check) for check in failed],
            "skipped_checks": [item(check, reason) for check, reason in skipped.items()],
            "parsing_errors": errors,
        },
    }


def test_findings_are_read_from_every_framework() -> None:
    """A framework without files has no results; the others count."""
    failed, skipped = read([{"passed": 0}, report(["CKV_AWS_19"], {"CKV_AWS_18": REASON}, [])])
    assert failed == {("CKV_AWS_19", ONE[1])}
    assert skipped == {ONE: REASON}


@pytest.mark.parametrize(
    ("answer", "message"),
    [({"passed": 0}, "nothing to scan"), (report([], {}, ["/x.yaml"]), r"could not read /x\.yaml")],
)
def test_unread_files_are_an_error(answer: dict[str, Any], message: str) -> None:
    """A check that scanned nothing must not pass."""
    with pytest.raises(RuntimeError, match=message):
        read(answer)


def test_needed_suppression_with_a_reason_is_no_problem() -> None:
    """The finding exists without the suppression."""
    assert problems(set(), {ONE: REASON}, {ONE}, 1) == []


@pytest.mark.parametrize(
    ("failed", "skipped", "unsuppressed", "declared", "message"),
    [
        ({ONE}, {}, {ONE}, 0, "fix it, or suppress it beside the resource"),
        (set(), {ONE: "later"}, {ONE}, 1, "is suppressed without a reason (got 'later')"),
        (set(), {ONE: REASON}, set(), 1, "is suppressed but passes"),
        (set(), {ONE: REASON}, {ONE}, 2, "2 suppressions are in the files, but checkov applied 1"),
    ],
)
def test_each_problem_is_reported(
    failed: set[Any], skipped: dict[Any, str], unsuppressed: set[Any], declared: int, message: str
) -> None:
    """One line names check, place and what to do."""
    (line,) = problems(failed, skipped, unsuppressed, declared)
    assert message in line


def test_suppressions_are_disabled_in_both_forms() -> None:
    """Metadata of a resource, and a comment in a workflow."""
    text = "    Metadata:\n      checkov:\n        skip: []\n# checkov:skip=CKV_GHA_7:why\n"
    assert "checkov:" not in without_suppressions(text)
