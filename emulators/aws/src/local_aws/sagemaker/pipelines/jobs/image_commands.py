"""Maps container images to local commands, for definitions without a ContainerEntrypoint.

Built-in algorithms and framework images in script mode run a program that only the image contains. `local-images.yaml`
maps image patterns to commands; the first match wins:

    images:
      - match: "*/my-training:*"
        command: ["python3", "./train.py"]      # ./ is relative to the file

AWS's framework images in script mode (a `sagemaker_program` hyperparameter) need no mapping.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local_aws.errors import EmulatorError
from local_aws.sagemaker.pipelines.jobs.storage import CreateFault

FILE_NAME = "local-images.yaml"
# Images with SageMaker's training toolkit, which runs the script named in the hyperparameters.
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
    """Shell-style image patterns and their commands, in order of precedence."""

    rules: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @classmethod
    def load(cls, path: Path | None) -> ImageMap:
        """The map in a YAML file; empty if `path` is None or does not exist.

        Raises:
            EmulatorError: the file does not have the format above.
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
        """The local command for `image`.

        Raises:
            CreateFault: the image is not mapped; the message says where to map it.
        """
        for pattern, command in self.rules:
            if fnmatch.fnmatchcase(image, pattern):
                return command
        if "sagemaker_program" in (hyperparameters or {}) and any(
            fnmatch.fnmatchcase(image, pattern) for pattern in _FRAMEWORKS
        ):
            return SCRIPT_MODE
        raise CreateFault(
            f"Image '{image}' has no ContainerEntrypoint in the definition, and its program is not available locally. "
            f"Map the image to a local command in {FILE_NAME}"
        )
