"""Reads YAML strictly into frozen models, and writes it in a canonical form.

An unknown, duplicate or missing key or a value out of range is a ConfigError that names the file, the field, the
expectation and the value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ml.config import yaml_documents
from ml.config.yaml_documents import YamlInvalid, shortened
from ml.errors import ConfigError

MAX_PROBLEMS = 20
"""Problems of one file that a message shows."""
_MAX_SHOWN = 120  # characters of a field's name or a value in a message
_COLUMN_RULE = (
    "must be letters from A to Z, digits, _, . and -, and begin with a letter or _, because requests and metrics have "
    "the name too (CloudWatch takes ASCII only); if files have another name, map it to one of these in renamed, as "
    "renamed: {Name in files: name}"
)

Text = Annotated[str, Field(min_length=1, max_length=1024)]
# As infra/platform.yaml allows: IAM compares names in ARNs by case, and SageMaker writes them in lower case.
Endpoint = Annotated[str, Field(pattern=r"^[a-z0-9](-*[a-z0-9]){0,43}$")]
_COLUMN = r"^[A-Za-z_][A-Za-z0-9_.\-]*$"
Column = Annotated[str, Field(min_length=1, max_length=64, pattern=_COLUMN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
S3Uri = Annotated[str, Field(pattern=r"^s3://[a-z0-9.\-]{3,63}/.+$")]
PackageArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package/[^/]+/\d+$")]
Share = Annotated[float, Field(ge=0, le=1)]
ShareBelowOne = Annotated[float, Field(ge=0, lt=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Ratio = Annotated[float, Field(gt=1)]


class File(BaseModel):
    """Base of all file models: frozen, strict about types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
"""For tuples, which YAML writes as lists."""
_Model = TypeVar("_Model", bound=File)


class FileInvalid(ConfigError):
    """A file is invalid; `problems` are (line or None, message) pairs. Each message names the file.

    Only the first MAX_PROBLEMS are kept. `more` is the number of the others.
    """

    def __init__(self, problems: Sequence[tuple[int | None, str]], more: int = 0) -> None:
        self.problems = tuple(problems[:MAX_PROBLEMS])
        more += len(problems) - len(self.problems)
        rest = [f"and {more} more"] if more else []
        super().__init__("; ".join([*(message for _, message in self.problems), *rest]))


def parse(text: str, path: Path, model: type[_Model]) -> _Model:
    """Parses `text`, the content of `path`, into `model`.

    Raises:
        FileInvalid: it is not YAML, or a field is missing, unknown or out of range (a ConfigError).
    """
    try:
        document = yaml_documents.load(text)
    except YamlInvalid as error:
        raise FileInvalid([(error.line, f"{path}: {yaml_documents.explain(error)}")]) from error
    if not isinstance(document, dict):
        raise FileInvalid([(1, f"{path}: must be a mapping of keys to values (got {type(document).__name__})")])
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems, root = _problems(error), yaml_documents.compose(text)
        found = [(_line(root, problem["loc"]), _explain(path, problem)) for problem in problems[:MAX_PROBLEMS]]
        raise FileInvalid(found, more=len(problems) - len(found)) from error


def parse_json(content: bytes, path: Path, model: type[_Model]) -> _Model:
    """Parses `content`, that of the JSON file `path`, into `model`, as strictly as YAML.

    Raises:
        FileInvalid: it is not JSON in UTF-8, or a field is missing, unknown or out of range (a ConfigError).
    """
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        raise FileInvalid([(error.lineno, f"{path}: line {error.lineno} is not JSON ({error.msg})")]) from error
    except UnicodeDecodeError as error:
        raise FileInvalid([(None, f"{path}: is not UTF-8 (byte {error.start})")]) from error
    except (RecursionError, ValueError) as error:  # nested too deeply, or a number of too many digits
        raise FileInvalid([(None, f"{path}: is not JSON that can be read ({shortened(str(error))})")]) from error
    if not isinstance(document, dict):
        raise FileInvalid([(1, f"{path}: must be an object of keys and values (got {type(document).__name__})")])
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = _problems(error)
        found = [(None, _explain(path, problem)) for problem in problems[:MAX_PROBLEMS]]
        raise FileInvalid(found, more=len(problems) - len(found)) from error


def line_of(text: str, field: Sequence[str | int]) -> int | None:
    """The line of `field` in the YAML `text`, or of its nearest parent; None if there is neither.

    Raises:
        YamlInvalid: the text is not YAML.
    """
    return _line(yaml_documents.compose(text), field)


def _line(node: yaml.Node | None, field: Sequence[str | int]) -> int | None:
    line = None
    for part in field:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return line


def _problems(error: ValidationError) -> list[Any]:
    """The problems of a file. A list whose items are invalid is not too short as well, as pydantic counts it."""
    found = error.errors()
    invalid_items = {problem["loc"][:-1] for problem in found}
    return [problem for problem in found if problem["type"] != "too_short" or problem["loc"] not in invalid_items]


def _explain(path: Path, problem: Any) -> str:
    field = shortened(".".join(str(part) for part in problem["loc"]), _MAX_SHOWN)
    kind, context, found = problem["type"], problem.get("ctx", {}), problem.get("input")
    if kind == "missing":
        return f"{path}: {field} is missing"
    if kind == "extra_forbidden":
        return f"{path}: {field} is not a known key"
    if kind == "value_error":
        text = shortened(str(context.get("error", problem["msg"])))
        return f"{path}: {field + ' ' if field else ''}{text}"
    expectation = _expectations().get(kind)
    text = (
        expectation(context)
        if expectation
        else problem["msg"][0].lower() + problem["msg"][1:].replace("should", "must")
    )
    return f"{path}: {field} {text} (got {shortened(repr(found), _MAX_SHOWN)})"


def _expectations() -> dict[str, Callable[[dict[str, Any]], str]]:
    return {
        "greater_than": lambda c: f"must be greater than {c['gt']:g}",
        "greater_than_equal": lambda c: f"must be at least {c['ge']:g}",
        "less_than": lambda c: f"must be less than {c['lt']:g}",
        "less_than_equal": lambda c: f"must be at most {c['le']:g}",
        "float_type": lambda _: "must be a number",
        "finite_number": lambda _: "must be a finite number",
        "int_type": lambda _: "must be a whole number",
        "bool_type": lambda _: "must be true or false",
        "string_type": lambda _: "must be text",
        "string_pattern_mismatch": lambda c: _COLUMN_RULE if c["pattern"] == _COLUMN else f"must match {c['pattern']}",
        "literal_error": lambda c: f"must be {c['expected']}",
        "model_type": lambda _: "must be a mapping of keys to values",
        "dict_type": lambda _: "must be a mapping of keys to values",
        "timezone_aware": lambda _: "must be a time with an offset, as 2026-03-01T00:00:00Z",
    }


def read(root: Path, path: Path, model: type[_Model]) -> _Model:
    """Reads the file `path` below the repository `root` into `model`; ConfigError if it is missing or invalid."""
    try:
        content = (root / path).read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file below {root}; run from the repository's root or give --repo") from None
    return parse(yaml_documents.decode(content, path), path, model)


def dump(document: File) -> str:
    """`document` as canonical YAML: keys in the model's order, times as UTC with Z."""
    return yaml.dump(_plain(document.model_dump(by_alias=True)), sort_keys=False, allow_unicode=True, width=110)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        from ml.clock import stamp

        # Only evidence may hold a time without an offset; it is not one of this machine's time zone.
        return _Time(value.isoformat(timespec="seconds") if value.tzinfo is None else stamp(value))
    return value


class _Time(str):
    """A formatted time, dumped without quotes so that it is read back as a time."""

    __slots__ = ()


yaml.SafeDumper.add_representer(
    _Time, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(value))
)
yaml.Dumper.add_representer(
    _Time, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(value))
)
