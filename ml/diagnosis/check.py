"""The result of one check: its subject, its state and the evidence or the next step. Decides nothing by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ml.errors import CloudError, DataError, GitHubError

State = Literal["ok", "will fail", "cannot tell"]
Remedy = Literal["deploy.yml", "deploy-staging.yml", "template", "autoscaling", "person"]
"""What puts a difference back: the stage's workflow, an update of the stack that has the resource, AWS, or a person."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the diagnosis.

    `detail` is the evidence of `ok`, the cause and what to do of `will fail`, and the reason of `cannot tell`.
    """

    subject: str
    state: State
    detail: str
    pending: bool = False
    """Whether there is no answer yet and nothing is wrong with the reading."""
    remedy: Remedy | None = None
    """What puts back a difference from Git; None without a fault."""


class CannotTell(Exception):
    """A check has no answer: what it depends on is missing or cannot be read. The message says why."""


class NotYet(CannotTell):
    """There is no answer yet: something still runs, or has not run. The message says what to wait for or to start."""


class WillFail(Exception):
    """A check found a fault. The message says what fails and what to do, and `remedy` what could do it."""

    def __init__(self, message: str, *, remedy: Remedy = "person") -> None:
        super().__init__(message)
        self.remedy = remedy


def run(subject: str, check: Callable[[], str]) -> Check:
    """Runs `check`, which returns the evidence that `subject` is right or raises `WillFail` or `CannotTell`.

    A service that refuses the question or cannot be reached is no fault of the subject: the answer is `cannot tell`.
    """
    try:
        return Check(subject=subject, state="ok", detail=_one_line(check()))
    except WillFail as fault:
        return Check(subject=subject, state="will fail", detail=_one_line(str(fault)), remedy=fault.remedy)
    except NotYet as reason:
        return Check(subject=subject, state="cannot tell", detail=_one_line(str(reason)), pending=True)
    except (CannotTell, CloudError, DataError, GitHubError) as reason:
        return Check(subject=subject, state="cannot tell", detail=_one_line(str(reason)))


def _one_line(text: str) -> str:
    return " ".join(text.split())
