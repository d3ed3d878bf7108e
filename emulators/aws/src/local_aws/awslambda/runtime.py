"""The inside of a local Lambda: runs one function's real handler, event after event, in a process of its own.

Started as a plain script, `python -I -S lambda_runtime.py TASK_FOLDER PACKAGES_FOLDER HANDLER`, so that it sees the
function's code, the SDK that AWS ships, and nothing else of this machine: a handler that imports more fails here as
it would there. May import nothing but the standard library. Requests come as JSON lines on standard input, answers
leave as JSON lines on standard output, the first of them once the handler is loaded; what the handler prints goes to
standard error, where a line that starts with END_OF_LOG closes each event's part.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any, TextIO

END_OF_LOG = "\x1e"


class Context:
    """What AWS hands to a handler beside the event."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id = request["id"]
        self.invoked_function_arn = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline = time.monotonic() + request["timeout_seconds"]

    def get_remaining_time_in_millis(self) -> int:
        """How long the handler may still run."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def _load(handler: str) -> Any:
    module_name, _, attribute = handler.rpartition(".")
    module = importlib.import_module(module_name.replace("/", "."))
    return getattr(module, attribute)


def _failure(error: BaseException, name: str | None = None) -> dict[str, Any]:
    return {
        "errorMessage": str(error),
        "errorType": name or type(error).__name__,
        "stackTrace": [] if name else traceback.format_tb(error.__traceback__)[1:],
    }


def _answer(handle: Any, request: dict[str, Any]) -> dict[str, Any]:
    os.environ.pop("FRAUDOPS_NOW", None)
    if request["now"]:
        os.environ["FRAUDOPS_NOW"] = request["now"]
    try:
        result = handle(request["event"], Context(request))
    except Exception as error:
        traceback.print_exc()
        return {"error": _failure(error)}
    try:
        return {"result": json.dumps(result)}
    except TypeError as error:
        return {"error": _failure(error, "Runtime.MarshalError")}


def main() -> None:
    """Loads the handler once, then answers until standard input ends."""
    task, packages, handler = sys.argv[1:]
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a stream, not a path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1, closefd=False)
    sys.path[:0] = [task]
    sys.path.append(packages)
    os.chdir(task)
    handle, broken = None, None
    try:
        handle = _load(handler)
    except ImportError as error:
        broken = _failure(error, "Runtime.ImportModuleError")
        broken["errorMessage"] = f"Unable to import module '{handler.rpartition('.')[0]}': {error}"
    except AttributeError:
        name = handler.rpartition(".")
        broken = _failure(
            AttributeError(f"Handler '{name[2]}' missing on module '{name[0]}'"), "Runtime.HandlerNotFound"
        )
    except Exception as error:
        traceback.print_exc()
        broken = _failure(error)
    _send(answers, {"ready": broken is None})
    for line in requests:
        request = json.loads(line)
        answer = {"error": broken} if broken else _answer(handle, request)
        sys.stdout.flush()
        sys.stderr.write(END_OF_LOG + "\n")
        sys.stderr.flush()
        _send(answers, answer)


def _send(answers: TextIO, document: dict[str, Any]) -> None:
    answers.write(json.dumps(document) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
