"""Logging and failure reporting shared by the steps.

A failed step prints one line, writes the reason where SageMaker looks for it (output/failure of a training job,
output/message of a processing job) and ends non-zero, so that no step that failed ends green.

No file of ml/steps or ml/model names SageMaker's folder: the pipeline's definition does, in the steps' arguments. A
local cloud that has that folder elsewhere can then leave the code as it is, and its digest with it.
"""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships no types

from ml.model.training_settings import Settings

log = logging.getLogger("fraudops")
MAX_REASON = 1024  # characters that SageMaker shows of a reason


class StepFailed(Exception):
    """The step cannot go on; the message says what, where and the next move, in one line."""


def run(step: Callable[[], None], reason_file: Path) -> int:
    """Runs `step` and returns the exit code: 0, or 1 with the reason printed and in `reason_file`.

    It runs on one thread of linear algebra: sums split over more would make a model's bytes depend on the instance.
    Any other error than StepFailed is reported the same way, with its traceback in the log before it.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s", force=True)
    try:
        with threadpool_limits(limits=1):
            step()
    except StepFailed as error:
        return _fail(str(error), reason_file)
    except Exception as error:
        log.exception("The step cannot go on")
        # Pure code says with a ValueError that data or settings do not do; its words need no type in front.
        return _fail(f"{'' if isinstance(error, ValueError) else f'{type(error).__name__}: '}{error}", reason_file)
    return 0


def _fail(message: str, reason_file: Path) -> int:
    reason = " ".join(message.split())
    sys.stderr.write(f"{reason}\n")
    reason_file.parent.mkdir(parents=True, exist_ok=True)
    reason_file.write_text(reason[:MAX_REASON], encoding="utf-8")
    return 1


def digest(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_settings(folder: Path, sha256: str) -> None:
    """Refuses a `folder`/settings.json that is not the one that the run is recorded with."""
    path = folder / "settings.json"
    if path.exists() and (found := digest(path)) != sha256:
        raise StepFailed(
            f"{path}: expected sha256 {sha256} (ConfigSha256), found {found}: the object was replaced; find out by "
            f"whom, then run `fraudops train` again, which puts the committed settings back"
        )


def settings(folder: Path) -> Settings:
    """The settings in `folder`/settings.json."""
    path = folder / "settings.json"
    try:
        return Settings.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StepFailed(f"{path}: no such file; the pipeline's SettingsUri must be the prefix that holds it") from None
    except (KeyError, TypeError, ValueError) as error:
        raise StepFailed(f"{path}: not the settings that this code reads ({type(error).__name__}: {error})") from error
