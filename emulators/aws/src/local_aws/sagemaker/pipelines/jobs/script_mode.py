"""Replaces SageMaker's training toolkit of framework images: runs the script named in the hyperparameters.

Runs inside a job as `python3 script_mode.py --base /opt/ml`, with the standard library (and boto3 if the code is in
S3). Does what the toolkit does: unpacks the code, installs requirements, sets the SM_* variables and passes the
hyperparameters as arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

_RESERVED_PREFIX = "sagemaker_"


def _decode(text: str) -> Any:
    """A hyperparameter's value: JSON if it parses, as the SDK writes it, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def environment(base: Path) -> dict[str, str]:
    """The SM_* variables of the job whose /opt/ml is `base`."""
    config = base / "input/config"
    hyperparameters = {
        key: _decode(value) for key, value in json.loads((config / "hyperparameters.json").read_text()).items()
    }
    resources = json.loads((config / "resourceconfig.json").read_text())
    channels = json.loads((config / "inputdataconfig.json").read_text())
    user = {key: value for key, value in hyperparameters.items() if not key.startswith(_RESERVED_PREFIX)}
    arguments = [part for key, value in user.items() for part in (f"--{key}", _text(value))]
    return {
        "SM_MODEL_DIR": str(base / "model"),
        "SM_INPUT_DIR": str(base / "input"),
        "SM_INPUT_CONFIG_DIR": str(config),
        "SM_OUTPUT_DIR": str(base / "output"),
        "SM_OUTPUT_DATA_DIR": str(base / "output/data"),
        "SM_CHANNELS": json.dumps(sorted(channels)),
        **{f"SM_CHANNEL_{name.upper()}": str(base / "input/data" / name) for name in channels},
        "SM_HPS": json.dumps(user),
        **{f"SM_HP_{key.upper().replace('-', '_')}": _text(value) for key, value in user.items()},
        "SM_USER_ARGS": json.dumps(arguments),
        "SM_CURRENT_HOST": resources["current_host"],
        "SM_HOSTS": json.dumps(resources["hosts"]),
        "SM_NETWORK_INTERFACE_NAME": resources["network_interface_name"],
        "SM_RESOURCE_CONFIG": json.dumps(resources),
        "SM_INPUT_DATA_CONFIG": json.dumps(channels),
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": "0",
        "SM_LOG_LEVEL": str(hyperparameters.get("sagemaker_container_log_level", 20)),
        "SM_MODULE_DIR": str(hyperparameters.get("sagemaker_submit_directory", "")),
        "SM_MODULE_NAME": Path(str(hyperparameters["sagemaker_program"])).stem,
        "SM_USER_ENTRY_POINT": str(hyperparameters["sagemaker_program"]),
    }


def unpack(source: str, code: Path) -> None:
    """Downloads and unpacks `source`, the `sagemaker_submit_directory`, into `code`."""
    code.mkdir(parents=True, exist_ok=True)
    if not source.startswith("s3://"):
        return
    import boto3

    bucket, _, key = source.removeprefix("s3://").partition("/")
    with tempfile.TemporaryFile() as archive:
        boto3.client("s3").download_fileobj(bucket, key, archive)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            tar.extractall(code, filter="data")


def main() -> int:
    """Runs the script; returns its exit code, and writes the failure reason."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", type=Path, required=True)
    base: Path = parser.parse_args().base
    variables = environment(base)
    code = base / "code"
    unpack(variables["SM_MODULE_DIR"], code)
    if (code / "requirements.txt").exists():
        subprocess.run([sys.executable, "-m", "pip", "install", "-r", "requirements.txt"], cwd=code, check=True)
    entry = variables["SM_USER_ENTRY_POINT"]
    command = ["bash", entry] if entry.endswith(".sh") else [sys.executable, entry]
    path = os.pathsep.join(filter(None, [str(code), os.environ.get("PYTHONPATH", "")]))
    completed = subprocess.run(
        [*command, *json.loads(variables["SM_USER_ARGS"])],
        cwd=code,
        env={**os.environ, **variables, "PYTHONPATH": path},
        check=False,
    )
    failure = base / "output/failure"
    if completed.returncode and not failure.exists():
        failure.write_text(f'ExecuteUserScriptError:\nExitCode {completed.returncode}\nCommand "{" ".join(command)}"')
    return completed.returncode


if __name__ == "__main__":
    sys.exit(main())
