"""Runs a step: logging, failure reason and exit code; also reads and verifies the settings.

A failed step prints one line, writes the reason to the file that SageMaker reads (output/failure of a training job,
output/message of a processing job) and exits with 1.

No file of ml/steps or ml/model contains SageMaker's folder: the pipeline definition passes it in the steps' arguments.
The AWS emulator uses another folder and can so run the same code with the same digest.
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
    """The step cannot continue; the message says in one line what is wrong, where, and how to fix it."""


def run(step: Callable[[], None], reason_file: Path) -> int:
    """Runs `step` and returns the exit code: 0, or 1 with the reason printed and in `reason_file`.

    Linear algebra runs on one thread, because otherwise a model's bytes would depend on the instance's cores. Errors
    other than StepFailed are reported the same way, after a traceback in the log.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s", force=True)
    try:
        with threadpool_limits(limits=1):
            step()
    except StepFailed as error:
        return _fail(str(error), reason_file)
    except Exception as error:
        log.exception("The step failed")
        # Pure code raises ValueError for unusable data or settings; its message needs no type in front.
        return _fail(f"{'' if isinstance(error, ValueError) else f'{type(error).__name__}: '}{error}", reason_file)
    return 0


def _fail(message: str, reason_file: Path) -> int:
    reason = " ".join(message.split())
    sys.stderr.write(f"{reason}\n")
    reason_file.parent.mkdir(parents=True, exist_ok=True)
    reason_file.write_text(reason[:MAX_REASON], encoding="utf-8")
    return 1


def file_sha256(path: Path) -> str:
    """The sha256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_settings(folder: Path, sha256: str) -> None:
    """Checks that `folder`/settings.json has the digest that the execution is recorded with."""
    path = folder / "settings.json"
    if path.exists() and (digest := file_sha256(path)) != sha256:
        raise StepFailed(
            f"{path}: expected sha256 {sha256} (ConfigSha256), found {digest}: the object was replaced; find out by "
            f"whom, then run `fraudops train` again, which restores the committed settings"
        )


def settings(folder: Path) -> Settings:
    """Reads `folder`/settings.json."""
    path = folder / "settings.json"
    try:
        return Settings.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StepFailed(f"{path}: no such file; the pipeline's SettingsUri must be the prefix that holds it") from None
    except (KeyError, TypeError, ValueError) as error:
        raise StepFailed(f"{path}: not the settings that this code reads ({type(error).__name__}: {error})") from error
