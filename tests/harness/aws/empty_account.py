"""An AWS emulator without any resource, whose administrator the clients of the test are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml.aws import session


@contextmanager
def running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """The emulator, with its files below `folder`."""
    with LocalAws(folder) as account:
        for name, value in account.environment().items():
            monkeypatch.setenv(name, value)
        session.renew()
        yield account
