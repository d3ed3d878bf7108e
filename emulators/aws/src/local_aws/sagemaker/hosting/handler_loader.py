"""Loads a SageMaker inference handler and calls it the way SageMaker's model servers do.

Supports model_fn, transform_fn, input_fn, predict_fn and output_fn, with the defaults, error classes and responses of
sagemaker-containers (Flask) and sagemaker-inference (multi-model server), by duck typing: neither is installed here.
Imports nothing else of this package, because a handler's archive may contain a package of the same name.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

CONTAINER_MODEL_DIR = PurePosixPath("/opt/ml/model")
DECODED = ("application/json", "text/csv")  # a handler gets exactly these as str, other types as bytes
ANY = "*/*"


class HandlerInvalid(Exception):
    """The handler of the model archive cannot be loaded; the message has the reason."""


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    content_type: str
    body: bytes


class InferenceHandler:
    """A loaded handler and its model."""

    def __init__(self, module: ModuleType, model_dir: Path, default_accept: str) -> None:
        self._default_accept = default_accept
        functions = {
            name: getattr(module, f"{name}_fn", None) for name in ("model", "transform", "input", "predict", "output")
        }
        if functions["transform"] and (functions["input"] or functions["predict"] or functions["output"]):
            raise HandlerInvalid(
                f"{module.__name__}: transform_fn cannot be combined with input_fn, predict_fn or output_fn"
            )
        if functions["model"] is None:
            raise HandlerInvalid(f"{module.__name__}: must have a model_fn(model_dir)")
        self._transform = _adapt(functions["transform"], 4) if functions["transform"] else None
        self._input = _adapt(functions["input"] or default_input, 2)
        self._predict = _adapt(functions["predict"] or default_predict, 2)
        self._output = _adapt(functions["output"] or default_output, 2)
        self._model = _adapt(functions["model"], 1)(str(model_dir))

    def handle(self, body: bytes, content_type: str | None, accept: str | None) -> Response:
        """The response to one request; an exception of the handler is a 500, or the `status_code` of the exception."""
        content_type = content_type or "application/json"
        if not accept or accept == ANY:
            accept = self._default_accept
        content: bytes | str = body.decode("utf-8", "replace") if content_type in DECODED else body
        try:
            if self._transform is not None:
                result = self._transform(self._model, content, content_type, accept)
            else:
                result = self._run_steps(content, content_type, accept)
            return result if isinstance(result, Response) else _to_response(result, accept)
        except (Exception, SystemExit) as error:  # no handler error ends the server
            status = getattr(error, "status_code", None)
            if isinstance(status, int) and 400 <= status <= 599:
                text = str(getattr(error, "message", error))
                return Response(status, "application/json" if text.startswith("{") else "text/plain", text.encode())
            traceback.print_exc(file=sys.stderr)
            return error_response(500, f"{type(error).__name__}: {error}")

    def _run_steps(self, content: bytes | str, content_type: str, accept: str) -> Any:
        try:
            data = self._input(content, content_type)
        except Exception as error:
            if type(error).__name__ == "UnsupportedFormatError":
                return error_response(415, str(error))
            raise
        prediction = self._predict(data, self._model)
        try:
            return self._output(prediction, accept)
        except Exception as error:
            if type(error).__name__ == "UnsupportedFormatError":
                return error_response(406, str(error))
            raise


class UnsupportedFormatError(Exception):
    """A default function does not support the content type; becomes 415 or 406."""


def load_handler(model_dir: Path, environment: Mapping[str, str]) -> InferenceHandler:
    """The handler that `environment` names (SAGEMAKER_PROGRAM in SAGEMAKER_SUBMIT_DIRECTORY), with its model loaded.

    A folder below /opt/ml/model is mapped to `model_dir`. It goes first on sys.path, so that its own packages take
    precedence over those of the process.

    Raises:
        HandlerInvalid: the file does not exist, cannot be imported, or its model_fn fails.
    """
    program = environment.get("SAGEMAKER_PROGRAM") or "inference.py"
    folder = environment.get("SAGEMAKER_SUBMIT_DIRECTORY") or str(CONTAINER_MODEL_DIR / "code")
    if "://" in folder:
        raise HandlerInvalid(f"SAGEMAKER_SUBMIT_DIRECTORY must be a folder of the model archive (got {folder})")
    code = Path(folder)
    if PurePosixPath(folder).is_relative_to(CONTAINER_MODEL_DIR):
        code = model_dir / PurePosixPath(folder).relative_to(CONTAINER_MODEL_DIR)
    if not (code / program).is_file():
        raise HandlerInvalid(f"SAGEMAKER_PROGRAM: no file {program!r} in {code}")
    sys.path.insert(0, str(code.resolve()))
    try:
        module = importlib.import_module(program.removesuffix(".py").replace("/", "."))
        return InferenceHandler(
            module, model_dir, environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or "application/json"
        )
    except HandlerInvalid:
        raise
    except (Exception, SystemExit) as error:
        traceback.print_exc(file=sys.stderr)
        raise HandlerInvalid(f"{program}: {type(error).__name__}: {error}") from error


def error_response(status: int, message: str) -> Response:
    """An error response with a JSON body."""
    return Response(status, "application/json", json.dumps({"error": {"status": status, "message": message}}).encode())


def default_input(content: bytes | str, content_type: str) -> Any:
    """Parses JSON, CSV and NPY into an array."""
    import numpy as np

    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == "application/json":
        return np.array(json.loads(content))
    if kind == "text/csv":
        text = content if isinstance(content, str) else content.decode()
        return np.genfromtxt(io.StringIO(text), dtype=np.float32, delimiter=",")
    if kind == "application/x-npy" and isinstance(content, bytes):
        return np.load(io.BytesIO(content), allow_pickle=False)
    raise UnsupportedFormatError(f"Content type {content_type} is not supported by this framework.")


def default_predict(data: Any, model: Any) -> Any:
    """Calls the model's `predict`."""
    return model.predict(data)


def default_output(prediction: Any, accept: str) -> tuple[bytes, str]:
    """Serializes an array as JSON, CSV or NPY."""
    import numpy as np

    kind, array = accept.split(";", maxsplit=1)[0].strip().lower(), np.asarray(prediction)
    if kind == "application/json":
        return json.dumps(array.tolist()).encode(), kind
    if kind == "text/csv":
        text = io.StringIO()
        np.savetxt(text, np.atleast_1d(array), delimiter=",", fmt="%s")
        return text.getvalue().encode(), kind
    if kind == "application/x-npy":
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue(), kind
    raise UnsupportedFormatError(f"Content type {accept} is not supported by this framework.")


def _adapt(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """`function` as a callable of `count` arguments; a function with one more gets None as its context."""
    try:
        accepted = len(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # implemented in C, without a signature
        accepted = count
    if accepted == count + 1:
        return lambda *arguments: function(*arguments, None)
    if accepted != count:
        raise HandlerInvalid(f"{function.__name__} takes {accepted} arguments but {count} are given")
    return function


def _to_response(result: Any, accept: str) -> Response:
    """Converts a handler's result: (body, type), a Flask-like response, or a body alone."""
    status, kind = 200, accept
    if isinstance(result, tuple) and len(result) == 2:
        result, kind = result
    elif hasattr(result, "status_code"):
        status, kind = int(result.status_code), str(getattr(result, "mimetype", None) or accept)
        result = result.get_data() if hasattr(result, "get_data") else getattr(result, "data", b"")
    if isinstance(result, str):
        result = result.encode()
    if not isinstance(result, bytes | bytearray | memoryview):
        return error_response(500, f"the handler must return text, bytes or (body, type) (got {type(result).__name__})")
    return Response(status, str(kind), bytes(result))
