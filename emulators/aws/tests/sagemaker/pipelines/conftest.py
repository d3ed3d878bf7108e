"""One server for the folder's tests; a bucket, a service and a list of events for each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline_jobs import Dispatcher, PipelineAws, dispatcher_server


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[Dispatcher, str]]:
    """moto with the pipeline operations in front."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with dispatcher_server() as running:
        yield running


@pytest.fixture
def aws(server: tuple[Dispatcher, str], tmp_path: Path) -> Iterator[PipelineAws]:
    """The server with a new pipeline service."""
    dispatcher, url = server
    dispatcher.faults.clear()
    dispatcher.calls.clear()
    made = PipelineAws(dispatcher, url, tmp_path)
    made.serve()
    yield made
    made.service.close()
    dispatcher.service = None
