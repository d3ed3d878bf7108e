"""`fraudops doctor`: checks an account and its repository before the first run. Changes nothing in either.

Everything that can be read is checked, one line each: `ok`, `will fail` with what to do, `cannot tell` with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml.diagnosis import account, environments, main_rules, permissions, schedule, stacks
from ml.diagnosis import repository as repository_checks
from ml.diagnosis.check import Check
from ml.diagnosis.subjects import Subjects
from ml.errors import NotReady


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The checks in their order, and how many of them will fail and have no answer."""

    checks: tuple[Check, ...]
    will_fail: int
    cannot_tell: int

    @property
    def text(self) -> str:
        """One line for each check."""
        states = max(len(check.state) for check in self.checks)
        subjects = max(len(check.subject) for check in self.checks)
        return "\n".join(
            f"{check.state:<{states}}  {check.subject:<{subjects}}  {check.detail}" for check in self.checks
        )

    @property
    def error(self) -> NotReady | None:
        """The error with which the verb ends; None if nothing will fail. What cannot be told is no failure."""
        if not self.will_fail:
            return None
        named = ", ".join(check.subject for check in self.checks if check.state == "will fail")
        return NotReady(f"{self.will_fail} of {len(self.checks)} checks will fail: {named}; see their lines")


def doctor(root: Path, *, repository: str | None = None) -> Diagnosis:
    """Checks the account and the repository.

    Args:
        repository: OWNER/NAME on GitHub; None takes GITHUB_REPOSITORY, or the repository that the roles' stack trusts.

    Raises:
        ConfigError: model-config/ or infra/ of the checkout cannot be read.
    """
    subjects = Subjects(root, repository)
    checks = tuple(check for part in _PARTS for check in part(subjects))
    return Diagnosis(
        checks=checks,
        will_fail=sum(check.state == "will fail" for check in checks),
        cannot_tell=sum(check.state == "cannot tell" for check in checks),
    )


_PARTS = (
    account.checks,
    stacks.checks,
    permissions.checks,
    repository_checks.checks,
    environments.checks,
    main_rules.checks,
    schedule.checks,
)
