"""Any SageMaker framework handler as one function from a request to an answer, as SageMaker's own servers call it.

Knows model_fn, transform_fn, input_fn, predict_fn and output_fn, with the defaults, the error classes and the answers
of sagemaker-containers (Flask) and sagemaker-inference (multi-model server), by their shape: neither is installed here.
It must import nothing of this project, because the handler that it loads may bring its own package of the same name.
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
DECODED = ("application/json", "text/csv")  # exactly these reach a handler as str, the rest as bytes
ANY = "*/*"


class HandlerInvalid(Exception):
    """The model archive's handler cannot be loaded; the message says why."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes


class Handler:
    """A loaded handler and its model."""

    def __init__(self, module: ModuleType, model_dir: Path, default_accept: str) -> None:
        self._default_accept = default_accept
        own = {
            name: getattr(module, f"{name}_fn", None) for name in ("model", "transform", "input", "predict", "output")
        }
        if own["transform"] and (own["input"] or own["predict"] or own["output"]):
            raise HandlerInvalid(
                f"{module.__name__}: transform_fn stands instead of input_fn, predict_fn and output_fn"
            )
        if own["model"] is None:
            raise HandlerInvalid(f"{module.__name__}: must have a model_fn(model_dir)")
        self._transform = _adapt(own["transform"], 4) if own["transform"] else None
        self._input = _adapt(own["input"] or default_input, 2)
        self._predict = _adapt(own["predict"] or default_predict, 2)
        self._output = _adapt(own["output"] or default_output, 2)
        self._model = _adapt(own["model"], 1)(str(model_dir))

    def answer(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """The answer to one request; whatever the handler raises is a 500, or the status that its error carries."""
        content_type = content_type or "application/json"
        if not accept or accept == ANY:
            accept = self._default_accept
        content: bytes | str = body.decode("utf-8", "replace") if content_type in DECODED else body
        try:
            if self._transform is not None:
                result = self._transform(self._model, content, content_type, accept)
            else:
                result = self._steps(content, content_type, accept)
            return result if isinstance(result, Answer) else _answer(result, accept)
        except (Exception, SystemExit) as error:  # the server outlives whatever a handler does with a request
            status = getattr(error, "status_code", None)
            if isinstance(status, int) and 400 <= status <= 599:
                text = str(getattr(error, "message", error))
                return Answer(status, "application/json" if text.startswith("{") else "text/plain", text.encode())
            traceback.print_exc(file=sys.stderr)
            return refusal(500, f"{type(error).__name__}: {error}")

    def _steps(self, content: bytes | str, content_type: str, accept: str) -> Any:
        try:
            data = self._input(content, content_type)
        except Exception as error:
            if type(error).__name__ == "UnsupportedFormatError":
                return refusal(415, str(error))
            raise
        prediction = self._predict(data, self._model)
        try:
            return self._output(prediction, accept)
        except Exception as error:
            if type(error).__name__ == "UnsupportedFormatError":
                return refusal(406, str(error))
            raise


class UnsupportedFormatError(Exception):
    """A default was asked for a type that it does not know; answered with 415 or 406."""


def load(model_dir: Path, environment: Mapping[str, str]) -> Handler:
    """The handler that `environment` names (SAGEMAKER_PROGRAM in SAGEMAKER_SUBMIT_DIRECTORY), its model loaded.

    A folder below /opt/ml/model is looked for below `model_dir`, which stands in for it. Its own packages win over
    those of the process: it goes first on sys.path.

    Raises:
        HandlerInvalid: there is no such file, it cannot be imported, or its model_fn fails.
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
        return Handler(module, model_dir, environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or "application/json")
    except HandlerInvalid:
        raise
    except (Exception, SystemExit) as error:
        traceback.print_exc(file=sys.stderr)
        raise HandlerInvalid(f"{program}: {type(error).__name__}: {error}") from error


def refusal(status: int, message: str) -> Answer:
    """An answer that says what is wrong, as JSON."""
    return Answer(status, "application/json", json.dumps({"error": {"status": status, "message": message}}).encode())


def default_input(content: bytes | str, content_type: str) -> Any:
    """JSON, CSV and NPY as an array of numbers."""
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
    """What the model's `predict` says."""
    return model.predict(data)


def default_output(prediction: Any, accept: str) -> tuple[bytes, str]:
    """An array as JSON, CSV or NPY."""
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
    """`function` called with `count` arguments, and a context of None where it takes one more."""
    try:
        taken = len(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # written in C, without a signature
        taken = count
    if taken == count + 1:
        return lambda *arguments: function(*arguments, None)
    if taken != count:
        raise HandlerInvalid(f"{function.__name__} takes {taken} arguments but {count} are given")
    return function


def _answer(result: Any, accept: str) -> Answer:
    """What a handler returned: (body, type), a Flask response or one with its names, or a bare body."""
    status, kind = 200, accept
    if isinstance(result, tuple) and len(result) == 2:
        result, kind = result
    elif hasattr(result, "status_code"):
        status, kind = int(result.status_code), str(getattr(result, "mimetype", None) or accept)
        result = result.get_data() if hasattr(result, "get_data") else getattr(result, "data", b"")
    if isinstance(result, str):
        result = result.encode()
    if not isinstance(result, bytes | bytearray | memoryview):
        return refusal(500, f"the handler must return text, bytes or (body, type) (got {type(result).__name__})")
    return Answer(status, str(kind), bytes(result))
