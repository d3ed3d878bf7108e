"""Profiles of the property tests: a fixed share in `make test`, random examples in `make fuzz`."""

from __future__ import annotations

from pathlib import Path

import hypothesis
from hypothesis.database import DirectoryBasedExampleDatabase

_DEFAULT = 100
"""The examples of a test without settings of its own, in `make test`."""


def load_fixed_profile() -> None:
    """The same examples in every run, without a time limit for one."""
    hypothesis.settings.register_profile("fixed", deadline=None, derandomize=True)
    hypothesis.settings.load_profile("fixed")


def load_random_profile(folder: Path, examples: int) -> None:
    """Random examples.

    Args:
        folder: failing examples are kept here, and tried first in the next run.
        examples: of a test without settings of its own; the others get as much more or less.
    """
    hypothesis.settings.register_profile(
        "random",
        deadline=None,
        derandomize=False,
        max_examples=examples,
        database=DirectoryBasedExampleDatabase(folder),
        print_blob=True,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("random")


def examples(count: int) -> hypothesis.settings:
    """Settings of a test that takes `count` examples in `make test`, and more in `make fuzz`, as others do."""
    usual = hypothesis.settings().max_examples
    return hypothesis.settings(max_examples=max(1, count * usual // _DEFAULT))
