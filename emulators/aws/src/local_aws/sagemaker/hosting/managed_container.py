"""What the start of SageMaker's scikit-learn 1.9-0 serving container needs a network for. Starts and installs nothing.

The container's server, sagemaker-containers, runs `pip install .` on the archive's code folder at every start, with
`-r requirements.txt` if there is such a file. A model with EnableNetworkIsolation has no network: pip then finds no
requirement, nor the setuptools of an isolated build. Source: sagemaker_containers/_modules.py of sagemaker-containers
2.8.6.post2, and pip's documentation of --no-build-isolation.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from local_aws.sagemaker.hosting.handler_loader import CONTAINER_MODEL_DIR
from local_aws.sagemaker.pipelines.jobs import managed_image

_FALSE = frozenset({"0", "false", "no", "off", "n", "f"})  # as pip reads an environment variable
_MISSING = (
    "ERROR: Could not find a version that satisfies the requirement {0} (from versions: none)",
    "ERROR: No matching distribution found for {0}",
)


def install_failure(image: str, environment: Mapping[str, str], model: Path) -> tuple[str, ...]:
    """The lines that pip writes where `pip install .` fails without a network; none if it succeeds, or is not run.

    Args:
        environment: the container's environment variables.
        model: the folder of the extracted archive.
    """
    if not fnmatch(image, managed_image.PATTERN):
        return ()
    missing = _requirement(environment, model)
    if missing is None and _builds_in_isolation(environment):
        missing = "setuptools>=40.8.0"  # pip's requirement of a folder without a pyproject.toml
    return tuple(line.format(missing) for line in _MISSING) if missing is not None else ()


def _builds_in_isolation(environment: Mapping[str, str]) -> bool:
    """Whether pip fetches what it builds with.

    pip reads the variable as the value of a negated option: PIP_NO_BUILD_ISOLATION=0 switches the isolation off, and 1
    leaves it on.
    """
    return environment.get("PIP_NO_BUILD_ISOLATION", "1").lower() not in _FALSE


def _requirement(environment: Mapping[str, str], model: Path) -> str | None:
    """The first line of the code's requirements.txt; None if there is none."""
    folder = PurePosixPath(environment.get("SAGEMAKER_SUBMIT_DIRECTORY") or CONTAINER_MODEL_DIR / "code")
    if not folder.is_relative_to(CONTAINER_MODEL_DIR):
        return None
    file = model / folder.relative_to(CONTAINER_MODEL_DIR) / "requirements.txt"
    lines = file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else []
    return next((line.strip() for line in lines if line.strip() and not line.lstrip().startswith(("#", "-"))), None)
