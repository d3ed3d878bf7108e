"""One emulator per test module, and a simulated time for single tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import hypothesis
import pytest
from aws_resources import ROLE, allow, create_role
from local_aws.server import LocalAws

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An emulator in this process, with short waits and the role that serves models."""
    folder = tmp_path_factory.mktemp("aws")
    with LocalAws(folder, flush_seconds=0.1, retry_seconds=(0.05, 0.05), health_timeout_seconds=20) as running:
        made = create_role(running, ROLE.rpartition("/")[2], "sagemaker.amazonaws.com", allow("s3:*"))
        assert made == ROLE
        yield running


@pytest.fixture
def simulated_time(aws: LocalAws) -> Iterator[datetime]:
    """2026-03-01T06:30:00Z as the emulator's time."""
    moment = datetime(2026, 3, 1, 6, 30, tzinfo=UTC)
    aws.clock.set(moment)
    yield moment
    aws.clock.set(None)
