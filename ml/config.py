"""The files under model-config/, one frozen model each, read strictly.

An unknown key, a missing one or a value out of range is a ConfigError that names the file, the field, what was
expected and what was found. Nothing a risk officer would care about has a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ml.errors import ConfigError
from ml.model import settings

MODEL = Path("model-config/training/model.yaml")
GATE = Path("model-config/training/gate.yaml")
SERVING = Path("model-config/serving/production.yaml")
DRIFT = Path("model-config/monitoring/drift.yaml")
APPROVALS = Path("model-config/approvals")
REQUESTS = Path("model-config/retrain-requests")
MISSES = Path("model-config/misses")

Text = Annotated[str, Field(min_length=1, max_length=1024)]
# What infra/platform.yaml allows: IAM compares names in ARNs by case, and SageMaker writes them in lower case.
Endpoint = Annotated[str, Field(pattern=r"^[a-z0-9](-*[a-z0-9]){0,43}$")]
Column = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
S3Uri = Annotated[str, Field(pattern=r"^s3://[a-z0-9.\-]{3,63}/.+$")]
PackageArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package/[^/]+/\d+$")]
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Ratio = Annotated[float, Field(gt=1)]


class _File(BaseModel):
    """Frozen, strict about types, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


File = _File
"""The base of files that are read as strictly but lie elsewhere, such as a simulation's scenarios."""


class _Data(_File):
    label: Column
    time: Column | None
    amount: Column
    features: Annotated[
        tuple[Column, ...],
        Field(min_length=1, max_length=512),
        BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v),
    ]

    @model_validator(mode="after")
    def _distinct(self) -> _Data:
        names = [self.label, self.amount, *self.features, *([self.time] if self.time else [])]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"must name each column once (twice: {', '.join(twice)})")
        return self


class _Split(_File):
    train: OpenShare
    validation: OpenShare
    test: OpenShare

    @model_validator(mode="after")
    def _whole(self) -> _Split:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"must have train, validation and test add up to 1 (got {total:g})")
        return self


class _Binning(_File):
    amount_bins: Annotated[int, Field(ge=0, le=100)]
    hour_bins: Annotated[Literal[0, 1, 2, 3, 4, 6, 8, 12, 24], Field()]


class _Resampling(_File):
    minority_ratio: Share
    neighbours: Annotated[int, Field(ge=1, le=50)]


class _Regression(_File):
    inverse_regularisation: Annotated[float, Field(gt=0)]
    max_iterations: Annotated[int, Field(ge=1, le=100_000)]
    tolerance: Annotated[float, Field(gt=0, lt=1)]


class _Threshold(_File):
    policy: Literal["max_recall_at_fpr", "alert_budget", "fixed"]
    value: OpenShare


class Compute(_File):
    """The instance that each step of the pipeline runs on."""

    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9]+\.[a-z0-9]+$")]
    volume_gb: Annotated[int, Field(ge=1, le=16_384)]
    max_runtime_minutes: Annotated[int, Field(ge=1, le=7_200)]


class ModelFile(_File):
    """model-config/training/model.yaml: what is trained, on what."""

    data: _Data
    split: _Split
    binning: _Binning
    resampling: _Resampling
    regression: _Regression
    threshold: _Threshold
    alert_budget: OpenShare
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    compute: Compute

    @model_validator(mode="after")
    def _hours_need_time(self) -> ModelFile:
        if self.binning.hour_bins and self.data.time is None:
            raise ValueError("must set binning.hour_bins to 0 where data.time is null")
        return self


class _Challenger(_File):
    max_average_precision_loss: Share
    max_recall_loss: Share
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    min_positives: Annotated[int, Field(ge=1)]


class GateFile(_File):
    """model-config/training/gate.yaml: what a model must reach to be registered."""

    min_recall: Share
    max_false_positive_rate: Share
    min_positives: Annotated[int, Field(ge=1)]
    challenger: _Challenger


class Instance(_File):
    """What the endpoint runs on."""

    type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9]+\.[a-z0-9]+$")]
    count: Annotated[int, Field(ge=1, le=100)]


class Capture(_File):
    """How much of the traffic lands in S3, in percent; 0 switches capture off."""

    sampling_percentage: Annotated[int, Field(ge=0, le=100)]


class Rollout(_File):
    """Blue/green: how long the old fleet is kept, and after how long a deployment that did not settle has failed."""

    termination_wait_seconds: Annotated[int, Field(ge=0, le=3_600)]
    timeout_minutes: Annotated[int, Field(ge=1, le=240)]


class ServingFile(_File):
    """model-config/serving/production.yaml: which approval serves, and how."""

    approval: Annotated[int, Field(ge=1)] | None
    endpoint: Endpoint
    instance: Instance
    capture: Capture
    rollout: Rollout


class _DriftSchema(_File):
    max_missing: Share
    max_out_of_range: Share
    max_unseen: Share


class _DriftData(_File):
    alpha: OpenShare
    min_ks: Share
    min_psi: Positive
    min_js: Share
    min_mean_shift: Positive
    min_chi_square: Positive


class _DriftPrediction(_File):
    alpha: OpenShare
    min_ks: Share
    min_psi: Positive
    min_js: Share
    min_alert_rate_ratio: Ratio


class _DriftConcept(_File):
    alpha: OpenShare
    min_recall_drop: Share
    min_precision_drop: Share
    min_fpr_ratio: Ratio
    alpha_amount_band: OpenShare
    min_band_ratio: Ratio


class _DriftLabels(_File):
    min_coverage: Share
    min_age_days: Annotated[int, Field(ge=0, le=365)]
    min_mature: Share


class _KOfN(_File):
    windows: Annotated[int, Field(ge=1, le=24)]
    of: Annotated[int, Field(ge=1, le=24)]

    @model_validator(mode="after")
    def _fits(self) -> _KOfN:
        if self.windows > self.of:
            raise ValueError(f"must have windows be at most of (got {self.windows} of {self.of})")
        return self


class _DriftDecide(_File):
    data: _KOfN
    prediction: _KOfN
    concept: _KOfN


class _PerCause(_File):
    data: Annotated[int, Field(ge=0, le=366)]
    prediction: Annotated[int, Field(ge=0, le=366)]
    concept: Annotated[int, Field(ge=0, le=366)]


class _Breaker(_File):
    misses: Annotated[int, Field(ge=1, le=100)]


class DriftFile(_File):
    """model-config/monitoring/drift.yaml: when traffic or labels have drifted, and when that asks for a new model.

    The first part is what `ml.model.drift.Rules` takes; the second is how a request is held back.
    """

    window: Literal["day", "week", "month"]
    looks: Annotated[int, Field(ge=1, le=10_000)]
    min_rows: Annotated[int, Field(ge=1)]
    no_traffic_hours: Annotated[int, Field(ge=1, le=8_784)]
    data: _DriftData
    prediction: _DriftPrediction
    concept: _DriftConcept
    labels: _DriftLabels
    decide: _DriftDecide
    cooldown_days: _PerCause
    max_requests_per_month: Annotated[int, Field(ge=0, le=100)]
    breaker: _Breaker
    schema_: Annotated[_DriftSchema, Field(alias="schema")]  # pydantic has a method of that name

    def to_rules(self) -> dict[str, Any]:
        """The document that `ml.model.drift.Rules.from_dict` takes."""
        return self.model_dump(by_alias=True)


class Artifact(_File):
    """Where the model archive is, and its digest."""

    uri: S3Uri
    sha256: Sha256


class Container(_File):
    """What runs the archive: a registry's package can be edited after its approval, so Git holds this too."""

    image: Text
    environment: dict[str, str]


class Window(_File):
    """A stretch of event time, start included, end not. null leaves that side open."""

    start: AwareDatetime | None
    end: AwareDatetime | None

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"must have start before end (got {self.start.isoformat()} and {self.end.isoformat()})")
        return self


class TrainingData(_File):
    """What a model was trained and tested on."""

    sha256: Sha256
    window: Window
    rows: Annotated[int, Field(ge=1)]
    frauds: Annotated[int, Field(ge=0)]


class Interval(_File):
    """A figure with its confidence interval, and the count it rests on (`count` of `of`, where it is a rate)."""

    value: float
    low: float
    high: float
    count: int | None
    of: int | None


class Verdict(_File):
    """What the gate said, word for word."""

    status: Literal["passed", "missed"]
    reason: Text


class Champion(_File):
    """The model that served when this one was tested, and how the two compared on the same rows."""

    approval: Annotated[int, Field(ge=1)]
    model_package_arn: PackageArn
    artifact_sha256: Sha256
    comparison: Literal["compared", "not possible"]
    reason: Text


class ApprovalRecord(_File):
    """model-config/approvals/NNNN.yaml: exactly which model a merge approves. Append only."""

    approval: Annotated[int, Field(ge=1)]
    model_package_arn: PackageArn
    artifact: Artifact
    container: Container
    commit: Commit
    config_sha256: Sha256
    data: TrainingData
    requests: Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]
    execution_arn: Text
    metrics: dict[str, Interval]
    threshold: float
    verdict: Verdict
    champion: Champion | None
    created: AwareDatetime

    @model_validator(mode="after")
    def _version(self) -> ApprovalRecord:
        if int(self.model_package_arn.rsplit("/", 1)[1]) != self.approval:
            raise ValueError(
                f"must have approval be the package's version (got {self.approval} and {self.model_package_arn})"
            )
        return self


class RetrainRequest(_File):
    """model-config/retrain-requests/<utc>-<cause>.yaml: who or what asks for a new model, on what data. Append only."""

    cause: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
    reason: Text
    window: Window
    evidence: dict[str, Any]


class MissRecord(_File):
    """model-config/misses/<utc>-<commit12>.yaml: a training run whose model the gate turned away. Append only.

    It closes the requests that the run answered, as an approval would, so that no later run trains for them again.
    """

    commit: Commit
    requests: Annotated[tuple[str, ...], BeforeValidator(lambda v: tuple(v) if isinstance(v, list) else v)]
    verdict: Verdict
    evaluation_uri: S3Uri
    execution_arn: Text
    created: AwareDatetime

    @model_validator(mode="after")
    def _missed(self) -> MissRecord:
        if self.verdict.status != "missed":
            raise ValueError(f"must have a verdict whose status is 'missed' (got {self.verdict.status!r})")
        return self


_REQUEST_ID = re.compile(r"^\d{8}T\d{6}Z-[a-z0-9]+(-[a-z0-9]+)*$")
_MISS_NAME = re.compile(r"^\d{8}T\d{6}Z-(?P<commit>[0-9a-f]{12})$")
_Model = TypeVar("_Model", bound=_File)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key given twice is an error and a time is read with its offset."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
        seen.add(key.value)
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class FileInvalid(ConfigError):
    """A file whose content does not hold; `problems` are (line or None, message), each of which names the file."""

    def __init__(self, problems: Sequence[tuple[int | None, str]]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = tuple(problems)


def parse(text: str, path: Path, model: type[_Model]) -> _Model:
    """`text`, the content of `path`, as `model`.

    Raises:
        FileInvalid: it is not YAML, or a field is missing, unknown or out of range; a ConfigError.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        said = f"{path}:{where} not valid YAML: {getattr(error, 'problem', None) or error}"
        raise FileInvalid([(mark.line + 1 if mark else None, said)]) from error
    if not isinstance(document, dict):
        raise FileInvalid([(1, f"{path}: must be a mapping of keys to values (got {type(document).__name__})")])
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = [(line_of(text, problem["loc"]), _explain(path, problem)) for problem in error.errors()]
        raise FileInvalid(found) from error


def line_of(text: str, field: Sequence[str | int]) -> int | None:
    """The line of `text`, a YAML file, at which `field` (or what comes nearest to it) stands; None if nothing does."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), None
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


def _explain(path: Path, problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    kind, context, found = problem["type"], problem.get("ctx", {}), problem.get("input")
    if kind == "missing":
        return f"{path}: {field} is missing"
    if kind == "extra_forbidden":
        return f"{path}: {field} is not a known key"
    if kind == "value_error":
        text = str(context.get("error", problem["msg"]))
        return f"{path}: {field + ' ' if field else ''}{text}"
    expectation = _expectations().get(kind)
    text = (
        expectation(context)
        if expectation
        else problem["msg"][0].lower() + problem["msg"][1:].replace("should", "must")
    )
    return f"{path}: {field} {text} (got {found!r})"


def _expectations() -> dict[str, Callable[[dict[str, Any]], str]]:
    return {
        "greater_than": lambda c: f"must be greater than {c['gt']:g}",
        "greater_than_equal": lambda c: f"must be at least {c['ge']:g}",
        "less_than": lambda c: f"must be less than {c['lt']:g}",
        "less_than_equal": lambda c: f"must be at most {c['le']:g}",
        "float_type": lambda _: "must be a number",
        "int_type": lambda _: "must be a whole number",
        "string_type": lambda _: "must be text",
        "string_pattern_mismatch": lambda c: f"must match {c['pattern']}",
        "literal_error": lambda c: f"must be {c['expected']}",
        "model_type": lambda _: "must be a mapping of keys to values",
        "timezone_aware": lambda _: "must be a time with an offset, as 2026-03-01T00:00:00Z",
    }


def read(root: Path, path: Path, model: type[_Model]) -> _Model:
    """The file `path` below the repository `root`, as `model`; ConfigError where it does not hold or is not there."""
    try:
        text = (root / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file below {root}; run from the repository's root or give --repo") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: must be UTF-8 (byte {error.start} is not)") from error
    return parse(text, path, model)


def load_model(root: Path) -> ModelFile:
    """model-config/training/model.yaml below `root`."""
    return read(root, MODEL, ModelFile)


def load_gate(root: Path) -> GateFile:
    """model-config/training/gate.yaml below `root`."""
    return read(root, GATE, GateFile)


def load_serving(root: Path) -> ServingFile:
    """model-config/serving/production.yaml below `root`."""
    return read(root, SERVING, ServingFile)


def load_drift(root: Path) -> DriftFile:
    """model-config/monitoring/drift.yaml below `root`."""
    return read(root, DRIFT, DriftFile)


def approval_path(number: int) -> Path:
    """Where approval `number` is recorded: approvals/0007.yaml for 7."""
    return APPROVALS / f"{number:04d}.yaml"


def load_approval(root: Path, number: int) -> ApprovalRecord:
    """The record of approval `number` below `root`; its file name and its number must agree."""
    path = approval_path(number)
    record = read(root, path, ApprovalRecord)
    if record.approval != number:
        raise ConfigError(f"{path}: approval must be {number}, as the file's name says (got {record.approval})")
    return record


def load_request(root: Path, name: str) -> RetrainRequest:
    """The retrain request called `name` (the file's name without .yaml) below `root`; name and cause must agree."""
    path = REQUESTS / f"{name}.yaml"
    if not _REQUEST_ID.match(name):
        raise ConfigError(f"{path}: must be named <utc>-<cause>.yaml, as 20260301T060000Z-data-drift.yaml")
    request = read(root, path, RetrainRequest)
    if not name.endswith(f"Z-{request.cause}"):
        raise ConfigError(f"{path}: cause must be the one in the file's name (got {request.cause!r})")
    return request


def load_requests(root: Path) -> dict[str, RetrainRequest]:
    """Every retrain request below `root` by its id (the file's name without .yaml), oldest first."""
    return {file.stem: load_request(root, file.stem) for file in sorted((root / REQUESTS).glob("*.yaml"))}


def miss_path(created: datetime, commit: str) -> Path:
    """Where a miss of the training run of `commit` is recorded: misses/20260301T060000Z-0123456789ab.yaml."""
    return MISSES / f"{created.astimezone(UTC):%Y%m%dT%H%M%SZ}-{commit[:12]}.yaml"


def load_miss(root: Path, name: str) -> MissRecord:
    """The recorded miss called `name` (the file's name without .yaml) below `root`; name and commit must agree."""
    path = MISSES / f"{name}.yaml"
    match = _MISS_NAME.match(name)
    if match is None:
        raise ConfigError(f"{path}: must be named <utc>-<commit>.yaml, as 20260301T060000Z-0123456789ab.yaml")
    record = read(root, path, MissRecord)
    if not record.commit.startswith(match["commit"]):
        raise ConfigError(f"{path}: commit must begin as the file's name says (got {record.commit!r})")
    return record


def load_misses(root: Path) -> dict[str, MissRecord]:
    """Every recorded miss below `root` by its file's name without .yaml, oldest first."""
    return {file.stem: load_miss(root, file.stem) for file in sorted((root / MISSES).glob("*.yaml"))}


def settings_of(model: ModelFile, gate: GateFile) -> settings.Settings:
    """The pure values that the pipeline hands to its steps: all of both files but the compute."""
    document = model.model_dump(exclude={"compute"})
    document["columns"] = document.pop("data")
    return settings.Settings(
        training=settings.Training(
            columns=settings.Columns(**document["columns"]),
            split=settings.Split(**document["split"]),
            binning=settings.Binning(**document["binning"]),
            resampling=settings.Resampling(**document["resampling"]),
            regression=settings.Regression(**document["regression"]),
            threshold=settings.Threshold(**document["threshold"]),
            alert_budget=model.alert_budget,
            seed=model.seed,
        ),
        gate=settings.Gate(
            min_recall=gate.min_recall,
            max_false_positive_rate=gate.max_false_positive_rate,
            min_positives=gate.min_positives,
            challenger=settings.Challenger(**gate.challenger.model_dump()),
        ),
    )


def load_settings(root: Path) -> settings.Settings:
    """Both training files below `root`, as the steps get them."""
    return settings_of(load_model(root), load_gate(root))


def dump(document: _File) -> str:
    """`document` as the YAML that is committed: keys in the model's order, times as UTC with Z."""
    return yaml.dump(_plain(document.model_dump()), sort_keys=False, allow_unicode=True, width=110)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        from ml.clock import stamp

        return _Time(stamp(value))
    return value


class _Time(str):
    """A time already written out; dumped without quotes so that it is read back as a time."""

    __slots__ = ()


yaml.SafeDumper.add_representer(
    _Time, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(value))
)
yaml.Dumper.add_representer(
    _Time, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:timestamp", str(value))
)
