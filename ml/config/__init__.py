"""Paths and strict loaders of the files under model-config/, one frozen model for each.

Imported as a whole: `from ml import config`, then `config.load_gate(root)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ml.config.data_file import LABEL_COLUMNS, DataFile, LabelColumns
from ml.config.record_files import (
    ApprovalRecord,
    Artifact,
    Champion,
    Container,
    Evaluation,
    GateFailureRecord,
    Interval,
    RetrainRequest,
    TrainingData,
    Verdict,
    Window,
)
from ml.config.serving_file import Autoscaling, Canary, ServingFile, Shadow
from ml.config.settings_files import DriftFile, GateFile, LabelLimits, ModelFile
from ml.config.yaml_documents import YamlInvalid, compose, decode, load_bytes
from ml.config.yaml_edits import set_values
from ml.config.yaml_models import (
    AsTuple,
    Column,
    File,
    FileInvalid,
    OpenShare,
    Share,
    Text,
    dump,
    line_of,
    parse,
    parse_json,
    read,
)
from ml.errors import ConfigError
from ml.model import training_settings
from ml.model.run_kinds import RunKind

__all__ = [
    "APPROVALS",
    "DATA",
    "DRIFT",
    "GATE",
    "GATE_FAILURES",
    "LABEL_COLUMNS",
    "MODEL",
    "REQUESTS",
    "SERVING",
    "SETTINGS",
    "STAGING",
    "ApprovalRecord",
    "Artifact",
    "AsTuple",
    "Autoscaling",
    "Canary",
    "Champion",
    "Column",
    "Container",
    "DataFile",
    "DriftFile",
    "Evaluation",
    "File",
    "FileInvalid",
    "GateFailureRecord",
    "GateFile",
    "Interval",
    "LabelColumns",
    "LabelLimits",
    "ModelFile",
    "OpenShare",
    "RetrainRequest",
    "RunKind",
    "ServingFile",
    "Shadow",
    "Share",
    "Text",
    "TrainingData",
    "Verdict",
    "Window",
    "YamlInvalid",
    "approval_path",
    "compose",
    "decode",
    "dump",
    "gate_failure_path",
    "line_of",
    "load_approval",
    "load_bytes",
    "load_columns",
    "load_data",
    "load_drift",
    "load_gate",
    "load_gate_failure",
    "load_gate_failures",
    "load_model",
    "load_request",
    "load_requests",
    "load_serving",
    "load_settings",
    "load_staging",
    "parse",
    "parse_json",
    "parse_settings",
    "read",
    "set_values",
    "settings_of",
]

MODEL = Path("model-config/training/model.yaml")
GATE = Path("model-config/training/gate.yaml")
DATA = Path("model-config/training/data.yaml")
SETTINGS = (DATA, MODEL, GATE)
"""The files that determine a training run's settings."""
SERVING = Path("model-config/serving/production.yaml")
STAGING = Path("model-config/serving/staging.yaml")
"""Optional: with it, an approval serves in staging first, and a promotion moves it to SERVING."""
DRIFT = Path("model-config/monitoring/drift.yaml")
APPROVALS = Path("model-config/approvals")
REQUESTS = Path("model-config/retrain-requests")
GATE_FAILURES = Path("model-config/gate-failures")
_REQUEST_ID = re.compile(r"\d{8}T\d{6}Z-[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_GATE_FAILURE_NAME = re.compile(r"\d{8}T\d{6}Z-(?P<commit>[0-9a-f]{12})", re.ASCII)


def load_data(root: Path) -> DataFile:
    """model-config/training/data.yaml below `root`."""
    return read(root, DATA, DataFile)


def load_columns(root: Path) -> training_settings.Columns:
    """The columns that model-config/training/data.yaml below `root` names."""
    return load_data(root).to_columns()


def load_model(root: Path) -> ModelFile:
    """model-config/training/model.yaml below `root`."""
    return read(root, MODEL, ModelFile)


def load_gate(root: Path) -> GateFile:
    """model-config/training/gate.yaml below `root`."""
    return read(root, GATE, GateFile)


def load_serving(root: Path) -> ServingFile:
    """model-config/serving/production.yaml below `root`."""
    return read(root, SERVING, ServingFile)


def load_staging(root: Path) -> ServingFile | None:
    """model-config/serving/staging.yaml below `root`; None if there is no such file."""
    return read(root, STAGING, ServingFile) if (root / STAGING).exists() else None


def load_drift(root: Path) -> DriftFile:
    """model-config/monitoring/drift.yaml below `root`."""
    return read(root, DRIFT, DriftFile)


def approval_path(number: int) -> Path:
    """The path of approval `number`'s record: approvals/0007.yaml for 7."""
    return APPROVALS / f"{number:04d}.yaml"


def statement_path(number: int) -> Path:
    """The path of the signed statement of approval `number`: approvals/0007.intoto.json for 7."""
    return APPROVALS / f"{number:04d}.intoto.json"


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
    if not _REQUEST_ID.fullmatch(name):
        raise ConfigError(f"{path}: must be named <utc>-<cause>.yaml, as 20260301T060000Z-data-drift.yaml")
    request = read(root, path, RetrainRequest)
    if not name.endswith(f"Z-{request.cause}"):
        raise ConfigError(f"{path}: cause must be the one in the file's name (got {request.cause!r})")
    return request


def load_requests(root: Path) -> dict[str, RetrainRequest]:
    """Every retrain request below `root` by its id (the file's name without .yaml), oldest first."""
    return {file.stem: load_request(root, file.stem) for file in sorted((root / REQUESTS).glob("*.yaml"))}


def gate_failure_path(created: datetime, commit: str) -> Path:
    """The path of a gate failure's record, such as gate-failures/20260301T060000Z-0123456789ab.yaml."""
    return GATE_FAILURES / f"{created.astimezone(UTC):%Y%m%dT%H%M%SZ}-{commit[:12]}.yaml"


def load_gate_failure(root: Path, name: str) -> GateFailureRecord:
    """The gate failure `name` (the file's name without .yaml) below `root`; name and commit must agree."""
    path = GATE_FAILURES / f"{name}.yaml"
    match = _GATE_FAILURE_NAME.fullmatch(name)
    if match is None:
        raise ConfigError(f"{path}: must be named <utc>-<commit>.yaml, as 20260301T060000Z-0123456789ab.yaml")
    record = read(root, path, GateFailureRecord)
    if not record.commit.startswith(match["commit"]):
        raise ConfigError(f"{path}: commit must begin as the file's name says (got {record.commit!r})")
    return record


def load_gate_failures(root: Path) -> dict[str, GateFailureRecord]:
    """Every recorded gate failure below `root` by its file's name without .yaml, oldest first."""
    return {file.stem: load_gate_failure(root, file.stem) for file in sorted((root / GATE_FAILURES).glob("*.yaml"))}


def settings_of(data: DataFile, model: ModelFile, gate: GateFile) -> training_settings.Settings:
    """The settings that the pipeline passes to its steps: the three files without the compute.

    Raises:
        ConfigError: the threshold's policy needs a column that the data does not have.
    """
    if model.threshold.policy == "min_cost" and data.amount is None:
        raise ConfigError(
            f"{MODEL}: threshold.policy min_cost weighs amounts, and {DATA} names no amount column; name it there, or "
            f"choose max_recall_at_fpr, alert_budget or fixed"
        )
    document = model.model_dump(exclude={"compute"})
    return training_settings.Settings(
        training=training_settings.Training(
            estimator=model.estimator,
            columns=data.to_columns(),
            split=training_settings.Split(**document["split"]),
            binning=training_settings.Binning(**document["binning"]),
            categories=training_settings.Categories(**document["categories"]),
            resampling=training_settings.Resampling(**document["resampling"]),
            regression=training_settings.Regression(**document["regression"]),
            threshold=training_settings.Threshold(**document["threshold"]),
            out_of_fold=training_settings.OutOfFold(**document["out_of_fold"]),
            alert_budget=model.alert_budget,
            min_recall_at_alert_budget=model.min_recall_at_alert_budget,
            seed=model.seed,
        ),
        gate=training_settings.Gate(
            min_recall=gate.min_recall,
            max_false_positive_rate=gate.max_false_positive_rate,
            decides=gate.decides,
            min_positives=gate.min_positives,
            challenger=training_settings.Challenger(**gate.challenger.model_dump()),
        ),
    )


def load_settings(root: Path) -> training_settings.Settings:
    """The settings of the training files below `root`, as passed to the steps."""
    return settings_of(load_data(root), load_model(root), load_gate(root))


def parse_settings(read_text: Callable[[Path], str]) -> training_settings.Settings:
    """The settings in the training files, whose texts `read_text` gives, as those of a commit. Raises ConfigError."""
    return settings_of(
        parse(read_text(DATA), DATA, DataFile),
        parse(read_text(MODEL), MODEL, ModelFile),
        parse(read_text(GATE), GATE, GateFile),
    )
