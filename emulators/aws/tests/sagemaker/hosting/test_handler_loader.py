"""The inference code of a model archive, loaded and called by the model server: its functions, defaults and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_server_process import TIMEOUT_SECONDS, running_server, start_server, write_files, write_handler

CSV = {"Content-Type": "text/csv"}


def test_handler_with_its_own_package_is_served(tmp_path: Path) -> None:
    """input_fn, predict_fn and output_fn in a folder of another name, with a context argument and its own `ml`."""
    code = """
from ml.own import double
def model_fn(model_dir, context):
    return {"dir": model_dir}
def input_fn(body, content_type):
    assert isinstance(body, str), type(body)  # as SageMaker's servers hand over JSON and CSV
    return [float(part) for part in body.split(",")]
def predict_fn(data, model):
    return double(data)
def output_fn(prediction, accept):
    return ",".join(map(str, prediction))
"""
    members = {
        "src/serve.py": code,
        "src/ml/__init__.py": "",
        "src/ml/own.py": "def double(x):\n    return [2 * v for v in x]\n",
    }
    model_dir = write_files(tmp_path / "model", {name: text.encode() for name, text in members.items()})
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/src"}
    with running_server(model_dir, tmp_path / "ready", **environment) as process:
        assert process.invoke("1,2", CSV | {"Accept": "text/csv"}) == (200, "text/csv", b"2.0,4.0")


def test_handler_cannot_import_from_pythonpath(tmp_path: Path) -> None:
    """A handler that imports a module that its archive lacks does not start, even if the caller has the module."""
    project = write_files(tmp_path / "project", {"callersproject.py": b""})
    model_dir = write_handler(tmp_path / "model", "import callersproject\ndef model_fn(d): return 1\n")
    process = start_server(model_dir, tmp_path / "ready", PYTHONPATH=str(project))
    _, log = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert "inference.py: ModuleNotFoundError" in log.splitlines()[-1]
    assert not (tmp_path / "ready").exists()


def test_default_functions_serve_a_handler_with_model_fn_alone(tmp_path: Path) -> None:
    """JSON and CSV in and out by the container's default functions; a type that they do not know is 415 or 406."""
    code = """
import numpy as np
class Sum:
    def predict(self, X):
        return np.asarray(X).sum(axis=1)
def model_fn(model_dir):
    return Sum()
"""
    with running_server(write_handler(tmp_path / "model", code), tmp_path / "ready") as process:
        json_type = {"Content-Type": "application/json"}
        assert process.invoke("[[1, 2], [3, 4]]", json_type) == (200, "application/json", b"[3, 7]")
        assert process.invoke("1,2\n3,4", CSV | {"Accept": "text/csv"})[2] == b"3.0\n7.0\n"
        assert process.invoke("x", {"Content-Type": "image/png"})[0] == 415
        assert process.invoke("[[1]]", json_type | {"Accept": "image/png"})[0] == 406


def test_handler_errors_do_not_end_the_server(tmp_path: Path) -> None:
    """An exception, an exit, recursion and a wrong result are 500s; an error with a status keeps it."""
    code = """
import sys
class Teapot(Exception):
    status_code, message, phrase = 418, "short and stout", "x"
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    def deep():
        return deep()
    return {"raise": lambda: 1 / 0, "exit": lambda: sys.exit(3), "deep": deep, "list": lambda: [1],
            "teapot": lambda: (_ for _ in ()).throw(Teapot()), "fine": lambda: (b"ok", "text/plain")}[body.decode()]()
"""
    with running_server(write_handler(tmp_path / "model", code), tmp_path / "ready") as process:
        kind = {"Content-Type": "application/octet-stream"}
        for name, status in (
            ("raise", 500),
            ("exit", 500),
            ("deep", 500),
            ("list", 500),
            ("teapot", 418),
            ("fine", 200),
        ):
            assert process.invoke(name, kind)[0] == status, name
        assert b"ZeroDivisionError" in process.invoke("raise", kind)[2]
        assert process.healthy


@pytest.mark.parametrize(
    ("code", "environment", "message"),
    [
        ("def model_fn(d): raise OSError('no weights')", {}, "inference.py: OSError: no weights"),
        ("def predict_fn(d, m): return 1", {}, "must have a model_fn(model_dir)"),
        ("def model_fn(d): return 1\ndef transform_fn(a): return 1", {}, "transform_fn takes 1 arguments but 4"),
        ("x = (", {}, "SyntaxError"),
        ("x = 1", {"SAGEMAKER_PROGRAM": "absent.py"}, "no file 'absent.py'"),
        ("x = 1", {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/code.tar.gz"}, "must be a folder of the model archive"),
        ("x = 1", {"MAX_CONTENT_LENGTH": "6MB"}, "MAX_CONTENT_LENGTH must be a number of bytes"),
    ],
)
def test_invalid_handler_ends_the_server_with_its_reason(
    tmp_path: Path, code: str, environment: dict[str, str], message: str
) -> None:
    """The process exits with 1, the last line on stderr has the reason, and no ready file exists."""
    process = start_server(write_handler(tmp_path / "model", code), tmp_path / "ready", **environment)
    _, log = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert message in json.loads(log.splitlines()[-1])["error"]
    assert not (tmp_path / "ready").exists()
