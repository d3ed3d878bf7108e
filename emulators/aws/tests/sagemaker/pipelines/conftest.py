"""One server for the folder's tests; a bucket, a service and a list of events for each."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline_jobs import Cloud, Layer, layer_server


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[Layer, str]]:
    """moto with the pipeline operations in front."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with layer_server() as running:
        yield running


@pytest.fixture
def cloud(server: tuple[Layer, str], tmp_path: Path) -> Iterator[Cloud]:
    """A cloud with a service of its own."""
    layer, url = server
    layer.faults.clear()
    layer.calls.clear()
    made = Cloud(layer, url, tmp_path)
    made.serve()
    yield made
    made.service.close()
    layer.service = None
