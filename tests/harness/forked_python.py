"""Runs `python -m MODULE` in a fork of a process that has imported the slow libraries; not a test itself.

Importing pandas, SciPy and scikit-learn takes longer than a step on small data. The process imports nothing of this
repository, so that every run imports the code that its own environment names. Its libraries compute on one thread: a
fork has no other thread than the one that forks.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HASH_SEED = "0"
"""PYTHONHASHSEED of every run."""
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run(
    module: str, arguments: Sequence[str], *, environment: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Runs the module with exactly these environment variables, as `subprocess.run` does with text output."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [f"{folder}/stdout", f"{folder}/stderr"]
        request = {
            "module": module, "arguments": list(arguments), "environment": dict(environment), "cwd": str(cwd),
            "outputs": outputs,
        }  # fmt: skip
        server = _server()
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that is forked has ended with exit code {server.wait()}")
        code = int(answer)
        texts = [Path(path).read_text("utf-8") for path in outputs]
    return subprocess.CompletedProcess([module, *arguments], code, *texts)


@functools.cache
def _server() -> subprocess.Popen[str]:
    """The process that is forked, one for each test process; it ends when its standard input does."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": HASH_SEED, **_ONE_THREAD},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def end() -> None:
        with process:
            pass

    atexit.register(end)
    return process


def _serve() -> None:
    """Answers each line of standard input, a request of `run`, with the exit code."""
    import sklearn.linear_model  # noqa: F401 - what the forks find imported

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            _run_and_exit(**json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers.write(f"{status}\n")
        answers.flush()


def _run_and_exit(
    *, module: str, arguments: list[str], environment: dict[str, str], cwd: str, outputs: list[str]
) -> None:
    code = 1
    try:
        for number, path in enumerate([os.devnull, *outputs]):
            opened = os.open(path, os.O_RDWR | os.O_CREAT)
            os.dup2(opened, number)
            os.close(opened)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        named = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
        sys.path[0:1] = [cwd, *named]  # the first one was the folder of this file
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                sys.stderr.write(f"{end.code}\n")
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
