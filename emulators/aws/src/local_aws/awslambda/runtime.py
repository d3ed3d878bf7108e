"""The Lambda runtime: a script that loads one function's handler and runs it on one event after another.

Started as `python -I -S runtime.py TASK_FOLDER PACKAGES_FOLDER HANDLER`, so that it sees only the function's code and
the SDK that AWS provides: a handler that imports anything else fails here as on AWS. Imports the standard library only.
Reads requests as JSON lines from standard input and writes responses as JSON lines to standard output, the first one
after the handler is loaded. The handler's output goes to standard error; END_OF_LOG ends the lines of each event.
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
NOW_VARIABLE = "LOCAL_AWS_NOW"
"""Environment variable with the emulator's simulated time; unset while its clock shows real time."""


class Context:
    """The context argument of a handler."""

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
        """The remaining time before the timeout."""
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


def _handle(handler: Any, request: dict[str, Any]) -> dict[str, Any]:
    os.environ.pop(NOW_VARIABLE, None)
    if request["now"]:
        os.environ[NOW_VARIABLE] = request["now"]
    try:
        result = handler(request["event"], Context(request))
    except Exception as error:
        traceback.print_exc()
        return {"error": _failure(error)}
    try:
        return {"result": json.dumps(result)}
    except TypeError as error:
        return {"error": _failure(error, "Runtime.MarshalError")}


def main() -> None:
    """Loads the handler once, then handles requests until standard input ends."""
    task, packages, handler_name = sys.argv[1:]
    requests, responses = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "rb") as null:  # noqa: PTH123 - a stream, not a path
        os.dup2(null.fileno(), 0)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1, closefd=False)
    sys.path[:0] = [task]
    sys.path.append(packages)
    os.chdir(task)
    handler, load_error = None, None
    try:
        handler = _load(handler_name)
    except ImportError as error:
        load_error = _failure(error, "Runtime.ImportModuleError")
        load_error["errorMessage"] = f"Unable to import module '{handler_name.rpartition('.')[0]}': {error}"
    except AttributeError:
        name = handler_name.rpartition(".")
        load_error = _failure(
            AttributeError(f"Handler '{name[2]}' missing on module '{name[0]}'"), "Runtime.HandlerNotFound"
        )
    except Exception as error:
        traceback.print_exc()
        load_error = _failure(error)
    _send(responses, {"ready": load_error is None})
    for line in requests:
        request = json.loads(line)
        response = {"error": load_error} if load_error else _handle(handler, request)
        sys.stdout.flush()
        sys.stderr.write(END_OF_LOG + "\n")
        sys.stderr.flush()
        _send(responses, response)


def _send(responses: TextIO, document: dict[str, Any]) -> None:
    responses.write(json.dumps(document) + "\n")
    responses.flush()


if __name__ == "__main__":
    main()
