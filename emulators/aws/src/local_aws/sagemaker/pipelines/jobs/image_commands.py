"""Maps container images to local commands and interpreters.

Built-in algorithms and framework images in script mode run a program that only the image contains. `local-images.yaml`
maps image patterns to commands, for definitions without a ContainerEntrypoint, and to the interpreter and the commands
that the image's jobs have. Each is taken from the first match that gives it:

    images:
      - match: "*/my-training:*"
        command: ["python3", "./train.py"]      # ./ is relative to the file
        interpreter: ./venv/bin/python          # default: the Python that runs the emulator
        commands: [bash, sh, cat]               # on PATH beside the Python's own; default: those of this machine
      - match: "*/my-server@*"
        dockerfile: ./serving/Dockerfile        # endpoints of the image run its command, see hosting/dockerfile.py
        context: ./                             # of the build; default: the folder of the file

AWS's framework images in script mode (a `sagemaker_program` hyperparameter) need no mapping. SageMaker's managed
scikit-learn 1.9-0 image has its own Python, packages and commands without a mapping, see `managed_image`. Its managed
Spark 3.5 image has the Python of `.venv-spark` and the command smspark-submit, see `spark_image`.
"""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from local_aws import yaml_documents
from local_aws.errors import EmulatorError
from local_aws.sagemaker.pipelines.jobs import managed_image, spark_image
from local_aws.sagemaker.pipelines.jobs.image_environment import ImageEnvironment, managed_environment
from local_aws.sagemaker.pipelines.jobs.storage import CreateFault

FILE_NAME = "local-images.yaml"
_VALUE_CHARS = 80  # of a value in a message
# Images with SageMaker's training toolkit, which runs the script named in the hyperparameters.
_FRAMEWORKS = (
    "*/sagemaker-scikit-learn:*", "*/sagemaker-xgboost:*", "*/pytorch-training:*", "*/tensorflow-training:*",
    "*/mxnet-training:*", "*/huggingface-*training:*", "*/autogluon-training:*",
)  # fmt: skip
SCRIPT_MODE = ("python3", "-P", str(Path(__file__).with_name("script_mode.py")), "--base", "/opt/ml")


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    match: str = Field(min_length=1)
    command: list[str] | None = Field(default=None, min_length=1)
    interpreter: str | None = Field(default=None, min_length=1)
    commands: list[str] | None = None
    dockerfile: str | None = Field(default=None, min_length=1)
    context: str = "./"

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if all(each is None for each in (self.command, self.interpreter, self.commands, self.dockerfile)):
            raise ValueError("an image needs a command, an interpreter, commands or a dockerfile")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    images: list[_Rule]


def _read(path: Path) -> tuple[_File, yaml.Node | None]:
    """The file's content and its YAML nodes; EmulatorError names the file and the line."""
    try:
        document, root = yaml_documents.load(path.read_bytes())
    except (yaml_documents.YamlInvalid, OSError) as error:
        raise EmulatorError(f"{path}: {error}") from error
    try:
        return _File.model_validate(document), root
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"]
        field = ".".join(map(str, place)) or "the file"
        raise EmulatorError(
            f"{path}: line {yaml_documents.line_of(root, place)}: {field}: {first['msg']} (got "
            f"{repr(first['input'])[:_VALUE_CHARS]}); the file must list images with 'match' and 'command', "
            "'interpreter', 'commands' or 'dockerfile'"
        ) from error


@dataclass(frozen=True)
class ImageMap:
    """Shell-style image patterns and their commands, in order of precedence."""

    rules: tuple[tuple[str, tuple[str, ...]], ...] = ()
    environments: tuple[tuple[str, Path | None, frozenset[str] | None], ...] = ()
    """Image patterns, interpreters and commands; None where a rule does not give one."""
    dockerfiles: tuple[tuple[str, Path, Path], ...] = ()
    """Image patterns, the Dockerfiles of what serves, and the contexts of their builds."""
    folder: Path | None = None
    """Holds .venv-container, the environment of the managed scikit-learn image; None if there is none."""

    @classmethod
    def load(cls, path: Path | None) -> ImageMap:
        """The map in a YAML file; empty if `path` is None or does not exist.

        Raises:
            EmulatorError: the file does not have the format above.
        """
        if path is None:
            return cls()
        folder = path.resolve().parent
        if not path.exists():
            return cls(folder=folder)
        content, root = _read(path)

        def located(part: str) -> str:
            return str(folder / part) if part.startswith("./") else part

        for index, rule in enumerate(content.images):
            if rule.interpreter is not None and not os.access(located(rule.interpreter), os.X_OK):
                line = yaml_documents.line_of(root, ("images", index, "interpreter"))
                raise EmulatorError(
                    f"{path}: line {line}: interpreter {rule.interpreter} of {rule.match} cannot be executed"
                )
        return cls(
            rules=tuple((rule.match, tuple(map(located, rule.command))) for rule in content.images if rule.command),
            environments=tuple(
                (
                    rule.match,
                    Path(located(rule.interpreter)) if rule.interpreter else None,
                    frozenset(rule.commands) if rule.commands is not None else None,
                )
                for rule in content.images
            ),
            dockerfiles=tuple(
                (rule.match, folder / rule.dockerfile, folder / rule.context)
                for rule in content.images
                if rule.dockerfile is not None
            ),
            folder=folder,
        )

    def dockerfile(self, image: str) -> tuple[Path, Path] | None:
        """The Dockerfile and the build context of an image that serves by its own command; None if it is not mapped."""
        matching = (rule[1:] for rule in self.dockerfiles if fnmatch.fnmatchcase(image, rule[0]))
        return next(matching, None)

    def environment(self, image: str) -> ImageEnvironment:
        """The interpreter and the commands of the jobs of `image`.

        Raises:
            CreateFault: it is the managed Spark image, and there is no environment with Spark.
        """
        matching = [rule for rule in self.environments if fnmatch.fnmatchcase(image, rule[0])]
        python = next((rule[1] for rule in matching if rule[1] is not None), None)
        commands = next((rule[2] for rule in matching if rule[2] is not None), None)
        if spark_image.matches(image):
            return ImageEnvironment(python or spark_image.interpreter(self.folder or Path.cwd()), commands)
        if fnmatch.fnmatchcase(image, managed_image.PATTERN):
            managed = managed_environment(self.folder or Path.cwd())
            return ImageEnvironment(
                python or managed.python,
                managed.commands if commands is None else commands,
                () if python else managed.differences,
            )
        return ImageEnvironment(python or Path(sys.executable), commands)

    def command(self, image: str, hyperparameters: Mapping[str, str] | None = None) -> Sequence[str]:
        """The local command for `image`.

        Raises:
            CreateFault: the image is not mapped; the message says where to map it.
        """
        for pattern, command in self.rules:
            if fnmatch.fnmatchcase(image, pattern):
                return command
        if spark_image.matches(image):
            return (spark_image.COMMAND,)
        if "sagemaker_program" in (hyperparameters or {}) and any(
            fnmatch.fnmatchcase(image, pattern) for pattern in _FRAMEWORKS
        ):
            return SCRIPT_MODE
        raise CreateFault(
            f"Image '{image}' has no ContainerEntrypoint in the definition, and its program is not available locally. "
            f"Map the image to a local command in {FILE_NAME}"
        )
