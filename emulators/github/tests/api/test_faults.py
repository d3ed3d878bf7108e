"""Faults of requests: which request gets one, what the client sees, and whether the request was handled."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
import requests
from conftest import Clone, Emulator
from local_github.api.faults import FAULTS, FaultPlan, Fired, Rule

ISSUES = "/api/v3/repos/acme/fraud/issues"


def call(emulator: Emulator, method: str = "GET", **body: str) -> requests.Response:
    """A request about issues, without retries."""
    return requests.request(
        method,
        f"{emulator.github.url}{ISSUES}",
        json=body or None,
        headers={"Authorization": f"Bearer {emulator.token()}"},
        timeout=10,
    )


def titles(emulator: Emulator) -> list[str]:
    """The titles of all issues, asked for without faults."""
    emulator.github.faults.set([])
    return [item["title"] for item in call(emulator).json()]


def test_plan_applies_to_the_numbered_requests_only() -> None:
    """The second and third matching requests get the fault; others are not counted; the plan records what it did."""
    plan = FaultPlan([Rule(fault="unavailable", method="POST", path="*/issues", call=2, times=2)])
    taken = [plan.take("POST", ISSUES) is not None for _ in range(4)]
    assert taken == [False, True, True, False]
    assert plan.take("GET", ISSUES) is None
    assert plan.fired == [Fired(fault="unavailable", method="POST", path=ISSUES, call=number) for number in (2, 3)]
    plan.set([])
    assert (plan.active, plan.fired) == (False, [])


@pytest.mark.parametrize("wrong", [{"fault": "flood"}, {"fault": "reset", "call": 0}, {"fault": "reset", "times": 0}])
def test_plan_refuses_unknown_faults_and_numbers(wrong: dict[str, object]) -> None:
    """A fault that does not exist, and a count below 1, are errors."""
    with pytest.raises(ValueError, match=r"fault 'flood'|begin at 1"):
        Rule(**wrong)  # type: ignore[arg-type] # the wrong values are the test


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("secondary_limit", 403),
        ("rate_limit", 429),
        ("server_error", 500),
        ("unavailable", 503),
        ("bad_credentials", 401),
        ("not_visible", 404),
    ],
)
def test_refused_request_is_not_handled(emulator: Emulator, fault: str, status: int) -> None:
    """The client gets the status, and no issue is created; the next request succeeds."""
    emulator.github.faults.set([Rule(fault=fault, method="POST", path="*/issues")])
    refused = call(emulator, "POST", title="one")
    assert refused.status_code == status
    assert ("Retry-After" in refused.headers) == (fault in ("secondary_limit", "rate_limit"))
    assert call(emulator, "POST", title="two").status_code == 201
    assert titles(emulator) == ["two"]


@pytest.mark.parametrize(("fault", "created"), [("reset", []), ("lost_answer", ["one"]), ("truncated", ["one"])])
def test_broken_connection_reaches_the_client(emulator: Emulator, fault: str, created: list[str]) -> None:
    """The client gets no whole response; only a reset leaves the request unhandled."""
    emulator.github.faults.set([Rule(fault=fault, method="POST", path="*/issues")])
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        call(emulator, "POST", title="one")
    assert titles(emulator) == created


def test_error_after_the_request_was_handled(emulator: Emulator) -> None:
    """The response is 502, and the issue exists."""
    emulator.github.faults.set([Rule(fault="error_after", method="POST", path="*/issues")])
    assert call(emulator, "POST", title="one").status_code == 502
    assert titles(emulator) == ["one"]


def test_stale_response_repeats_the_former_one(emulator: Emulator) -> None:
    """A list that was asked for before a write is answered once more as it was."""
    emulator.github.faults.set([Rule(fault="stale", path="*/issues")])
    assert call(emulator).json() == []
    call(emulator, "POST", title="one")
    assert call(emulator).json() == []
    assert [item["title"] for item in call(emulator).json()] == ["one"]


def test_race_rejects_the_push(emulator: Emulator, clone: Clone) -> None:
    """Somebody's commit is on main before the push is handled, so that it is no fast-forward."""
    before = clone.git("rev-parse", "HEAD").stdout.strip()
    clone.commit({"new.txt": "x\n"})
    emulator.github.faults.set([Rule(fault="race", method="POST", path="*/git-receive-pack")])
    url = emulator.url(emulator.token())
    push: Callable[[], subprocess.CompletedProcess[str]] = lambda: clone.git("push", url, "HEAD:main", check=False)  # noqa: E731 - a name for a call that is repeated
    assert push().returncode != 0
    clone.git("pull", "--rebase", url, "main")
    assert push().returncode == 0
    subjects = clone.git("log", "--format=%s", f"{before}..HEAD").stdout.splitlines()
    assert subjects == ["Change", "Change nothing"]


def test_every_fault_is_documented(emulator: Emulator) -> None:
    """The README's table names each fault, and no other."""
    from pathlib import Path

    del emulator
    text = Path(__file__).parents[2].joinpath("README.md").read_text("utf-8")
    section = text.split("## Faults")[1].split("\n## ")[0]
    assert {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")} == set(FAULTS)
