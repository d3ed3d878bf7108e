"""Keeps the SageMaker SDK quiet while it is imported and used. Calls nothing."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(region: str) -> Iterator[None]:
    """Sets a region while the SDK is imported, because the import creates a client, and silences the SDK's output.

    The SDK prints deprecation warnings of other packages and information about its defaults.
    """
    before = os.environ.get("AWS_DEFAULT_REGION")
    disabled = logging.root.manager.disable
    level, handlers = logging.root.level, list(logging.root.handlers)
    os.environ["AWS_DEFAULT_REGION"] = region
    logging.disable(max(disabled, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        logging.root.setLevel(level)  # the SDK changes both
        logging.root.handlers[:] = handlers
        if before is None:
            del os.environ["AWS_DEFAULT_REGION"]
        else:
            os.environ["AWS_DEFAULT_REGION"] = before
