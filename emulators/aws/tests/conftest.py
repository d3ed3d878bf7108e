"""A local cloud for each module of tests that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_aws.server import LocalCloud


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud that runs in this process, with short waits."""
    folder = tmp_path_factory.mktemp("cloud")
    with LocalCloud(folder, flush_seconds=0.1, retry_seconds=(0.05, 0.05), health_timeout_seconds=20) as running:
        yield running
