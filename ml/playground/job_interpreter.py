"""Says which Python runs the jobs of SageMaker's scikit-learn image on this machine. Starts and installs nothing."""

from __future__ import annotations

from pathlib import Path

from local_aws.sagemaker.pipelines.jobs import managed_image
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap


def describe(images: Path) -> str:
    """One line for the output of a demo.

    Args:
        images: the image map that the AWS emulator gets, which may be absent; `.venv-container` is beside it.
    """
    environment = ImageMap.load(images).environment(managed_image.SAMPLE)
    folder, python = images.resolve().parent, environment.python
    place = python.relative_to(folder) if python.is_relative_to(folder) else python
    if environment.differences:
        return (
            f"jobs run in {place}, whose versions differ from those of SageMaker's scikit-learn image: `make demo` "
            f"installs these into {managed_image.ENVIRONMENT} if this machine has Python {managed_image.PYTHON}"
        )
    if python == folder / managed_image.ENVIRONMENT / "bin/python":
        return f"jobs run in {place}, with the Python and the packages of SageMaker's scikit-learn image"
    return f"jobs run in {place}"
