"""Which local command stands for the program inside an image, where a definition names no entry point.

A definition with a ContainerEntrypoint needs none of this. Built-in algorithms and script-mode framework images run
a program that only the image has: `local-images.yaml` maps image patterns to commands, first match wins:

    images:
      - match: "*/my-training:*"
        command: ["python3", "./train.py"]      # ./ is relative to the file

Framework images of AWS in script mode (a `sagemaker_program` hyperparameter) are known without a file.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_aws.errors import EmulatorError
from local_aws.sagemaker.pipelines.job_storage import CreateFault

FILE_NAME = "local-images.yaml"
# Images with SageMaker's training toolkit, which runs the script that the hyperparameters name.
_FRAMEWORKS = (
    "*/sagemaker-scikit-learn:*", "*/sagemaker-xgboost:*", "*/pytorch-training:*", "*/tensorflow-training:*",
    "*/mxnet-training:*", "*/huggingface-*training:*", "*/autogluon-training:*",
)  # fmt: skip
SCRIPT_MODE = ("python3", "-P", str(Path(__file__).with_name("script_mode.py")), "--base", "/opt/ml")


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    match: str = Field(min_length=1)
    command: list[str] = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    images: list[_Rule]


@dataclass(frozen=True)
class ImageMap:
    """Image patterns (as the shell's) and the commands that stand for their programs, in order of precedence."""

    rules: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def load(cls, path: Path | None) -> ImageMap:
        """The map in a YAML file; an empty one where `path` is None or there is no such file.

        Raises:
            EmulatorError: the file is not of the form above.
        """
        if path is None or not path.exists():
            return cls()
        try:
            content = _File.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as error:
            raise EmulatorError(
                f"{path}: must list images with 'match' and 'command' ({' '.join(str(error).split())})"
            ) from error
        folder = path.resolve().parent
        return cls(
            tuple(
                (rule.match, tuple(str(folder / part) if part.startswith("./") else part for part in rule.command))
                for rule in content.images
            )
        )

    def command(self, image: str, hyperparameters: Mapping[str, str] | None = None) -> Sequence[str]:
        """The command that stands for the program of `image`.

        Raises:
            CreateFault: nothing is mapped; the message says where to map it.
        """
        for pattern, command in self.rules:
            if fnmatch.fnmatchcase(image, pattern):
                return command
        if "sagemaker_program" in (hyperparameters or {}) and any(
            fnmatch.fnmatchcase(image, pattern) for pattern in _FRAMEWORKS
        ):
            return SCRIPT_MODE
        raise CreateFault(
            f"The definition gives image '{image}' no ContainerEntrypoint, so the image's own program would run, which "
            f"this machine does not have. Map the image to a local command in {FILE_NAME}"
        )
