"""Starts the server of the serving image: `python -m serving.server serve`, as SageMaker starts a container.

Environment: SAGEMAKER_BIND_TO_PORT (default 8080, as SageMaker's contract says), SM_MODEL_DIR (default /opt/ml/model),
FRAUDOPS_MODEL_VERSION (the approval's number, set by the deploy function). Writes no file. SIGTERM lets the requests in
flight finish, and ends the process after GRACE_SECONDS even if one does not.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import NoReturn

import uvicorn

from ml.model.document_fields import ArtifactInvalid
from ml.steps import inference
from serving.app import App

PORT, MODEL_DIR = 8080, "/opt/ml/model"
GRACE_SECONDS = 25  # SageMaker kills a container 30 s after its SIGTERM
_KEEP_ALIVE_SECONDS = 75  # longer than SageMaker's own, so that the sender closes
_LOG = logging.getLogger("serving")


class _Server(uvicorn.Server):  # type: ignore[misc] # mypy skips uvicorn, see pyproject.toml
    """A uvicorn server whose shutdown takes a bounded time."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the shutdown, and ends the process after the grace period whatever its threads do."""
        # uvicorn cancels tasks, but not the thread of a long request, for which the interpreter would wait.
        deadline = threading.Timer(GRACE_SECONDS + 1, os._exit, (1,))
        deadline.daemon = True
        deadline.start()
        super().handle_exit(sig, frame)


def serve(environment: Mapping[str, str]) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        ArtifactInvalid: model.json is invalid.
        OSError: there is no model.json, or the port is in use.
        ValueError: SAGEMAKER_BIND_TO_PORT is no number.
    """
    model = inference.model_fn(environment.get("SM_MODEL_DIR") or MODEL_DIR)
    port = int(environment.get("SAGEMAKER_BIND_TO_PORT") or PORT)
    listener = socket.create_server(("0.0.0.0", port), backlog=2048)  # noqa: S104 - SageMaker sends from outside of the container
    config = uvicorn.Config(
        App(model),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        ws="none",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    gc.collect()
    gc.freeze()  # the model and the modules stay: collections look at requests only
    _Server(config).run(sockets=[listener])


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


def main() -> int:
    """The container's command; exit code 1 with the reason on standard error if the model cannot be served."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGTERM, _exit)  # uvicorn restores this handler and raises the signal again after its shutdown
    try:
        serve(os.environ)
    except (ArtifactInvalid, OSError, ValueError) as error:
        _LOG.error("cannot serve: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
