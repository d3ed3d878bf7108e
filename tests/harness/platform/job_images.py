"""The image map of the end-to-end tests, whose jobs run as those of the demo; not a test itself.

Jobs of SageMaker's scikit-learn image run in .venv-container where `make container` installed the image's Python and
packages, and in the Python of the tests elsewhere. The header of a test session says which.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
IMAGES = ROOT / "local-images.yaml"
"""May be absent; .venv-container is beside it."""


def link_environment(clone: Path) -> None:
    """Gives a clone of this repository the environment of the jobs, where there is one, as an untracked file."""
    environment = ROOT / ".venv-container"
    if environment.exists():
        (clone / environment.name).symlink_to(environment)
        with (clone / ".git/info/exclude").open("a", encoding="utf-8") as exclude:
            exclude.write(f"/{environment.name}\n")
