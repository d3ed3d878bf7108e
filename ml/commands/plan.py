"""`fraudops plan`: comments on a pull request what merging it would do.

Shows which workflows start, which values change and which model replaces which. Where the run has a role in AWS it
compares approval records with the registry first and shows a difference before anything else. `validate` reports
invalid files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml import config
from ml.aws import oidc_credentials, platform_stack
from ml.console import note
from ml.errors import ConfigError, FraudopsError
from ml.gitops import markdown_escaping as markdown
from ml.gitops.repository import Repository
from ml.gitops.settings_changes import flat
from ml.records import approval_verification, served_model_gate
from ml.validation.changed_records import changed_records
from ml.workflow import changed_files as workflow_change
from ml.workflow import runner_commands
from ml.workflow.changed_files import Change

MARKER = "plan"
_ABSENT = "—"
_METRICS = ("recall", "precision", "false_positive_rate", "average_precision", "recall_at_alert_budget", "alert_rate")
_LABELS = {"false_positive_rate": "false-positive rate"}
"""Names of metrics in words, where they are not the name with spaces."""
_TRAINS = ("ml/model/", "ml/steps/")
_JUDGED = {
    "within": "would pass the new limits",
    "not within": "**would not pass the new limits**",
    "depends": "would pass the new limits only where rows are too few to judge by an interval",
}


@dataclass(frozen=True, kw_only=True)
class Start:
    """A workflow that a push to main starts, its path filter, and what it does."""

    workflow: str
    below: tuple[str, ...]
    """Path prefixes; the empty prefix matches every file."""
    does: str


STARTS = (
    Start(
        workflow="train.yml",
        below=("model-config/training/", "model-config/retrain-requests/"),
        does="trains a model from main and, if it passes the gate, opens its approval pull request; it deploys nothing",
    ),
    Start(
        workflow="deploy.yml",
        below=("model-config/serving/production.yaml",),
        does="deploys the approval that `model-config/serving/production.yaml` on main names",
    ),
    Start(
        workflow="deploy-staging.yml",
        below=("model-config/serving/staging.yaml",),
        does="deploys the approval that `model-config/serving/staging.yaml` on main names to staging, if its "
        "workflow has a role, and proposes the promotion",
    ),
    Start(workflow="infra.yml", below=("infra/",), does="applies the template; its own comment shows the change set"),
    Start(workflow="ci.yml", below=("",), does="checks main again"),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What merging would do. `comment` is the URL of the comment; None if the token may not write one."""

    workflows: tuple[str, ...]
    markdown: str
    comment: str | None


def plan(root: Path, *, pull_request: int | None = None) -> Plan:
    """Writes the plan of merging the checkout into main to the step's summary and, if permitted, to the pull request.

    Args:
        pull_request: the number that a dispatched run is for; None for the event's.

    Raises:
        GitError: the history that the comparison needs is missing.
        GitHubError: the comment cannot be written.
        Refused: an approval record is not what the registry holds; the comment says so.
    """
    repository = Repository.find(root)
    change, pull = workflow_change.of(repository), workflow_change.pull_request(pull_request)
    comparison, refused = _compare_records(repository, change)
    text = "\n\n".join([*comparison, describe(repository, change)])
    runner_commands.summary(text)
    comment = None
    if pull is not None and pull.read_only:
        note("this pull request's token may not comment; the plan is in the step's summary")
    elif pull is not None:
        from ml.gitops import comments
        from ml.gitops.github_client import GitHub

        comment = comments.upsert(GitHub.from_environment(), pull.number, MARKER, text).url
    if refused is not None:
        raise refused
    return Plan(workflows=tuple(start.workflow for start in starts(change.files)), markdown=text, comment=comment)


def _compare_records(repository: Repository, change: Change) -> tuple[list[str], FraudopsError | None]:
    """The paragraphs about the comparison of changed records with the registry, and the first refusal."""
    records = changed_records(repository, change)
    if not records or not oidc_credentials.wanted():
        return [], None
    paragraphs, refused = [], None
    for record in records:
        number = _number(record.approval)
        try:
            approval_verification.against_registry(record, platform_stack.read())
        except FraudopsError as error:
            refused = refused or error
            paragraphs.append(f"**Do not merge: the record of approval {number} is refused.** {markdown.text(error)}")
        else:
            paragraphs.append(
                f"The record of approval {number} equals the package, archive and evaluation in the registry "
                f"({markdown.code(f'sha256:{record.evaluation.sha256[:12]}…')})."
            )
    return paragraphs, refused


def starts(files: Iterable[str]) -> list[Start]:
    """The workflows that a push of these files to main starts."""
    touched = list(files)
    return [start for start in STARTS if any(path.startswith(start.below) for path in touched)]


def describe(repository: Repository, change: Change) -> str:
    """The plan as Markdown."""
    blocks = ["### What merging this does", _workflows(change)]
    blocks += _models(repository, change)
    blocks += _values(repository, change)
    blocks += _serving_under_gate(repository, change)
    blocks += _requests(repository, change)
    blocks += _code(change)
    return "\n\n".join(block for block in blocks if block)


def _workflows(change: Change) -> str:
    started = starts(change.files)
    if not started:
        return "Nothing: no file differs from main."
    lines = [f"- `{start.workflow}` {start.does}." for start in started]
    if [start.workflow for start in started] == ["ci.yml"]:
        lines.append("- No model is trained or deployed.")
    return "\n".join(lines)


def _models(repository: Repository, change: Change) -> Iterator[str]:
    before, after = (_document(repository, change, config.SERVING, side) for side in ("before", "after"))
    former, chosen = before.get("approval"), after.get("approval")
    if former == chosen:
        return
    if chosen is None:
        yield (
            "**The serving pointer is removed.** Nothing is deployed, and the endpoint keeps serving its model; only a "
            "person deletes the endpoint."
        )
        return
    old, new = (_record(repository, change, number, side) for number, side in ((former, "before"), (chosen, "after")))
    instead = f"in place of approval {_number(former)}" if former is not None else "as the first model"
    yield f"**Approval {_number(chosen)} serves** {instead}."
    if new is None:
        yield f"There is no readable record of approval {_number(chosen)}; `validate` reports why."
        return
    if old is not None:
        reason = markdown.text(new.champion.reason.rstrip(".")) if new.champion else "they were not compared"
        yield (
            "**Do not compare these columns: each is measured on its model's own test rows.** The comparison on the "
            f"same rows is in the approval's pull request and record: {reason}."
        )
    yield markdown.table(
        ["on its own test rows", *([f"now: {_number(former)}"] if old else []), f"then: {_number(chosen)}"],
        _sides(old, new),
    )
    yield (
        "To undo it, revert only the pointer's commit: `fraudops rollback` makes that pull request. "
        "GitHub's Revert button would delete the record too, and `validate` refuses that."
    )


def _sides(old: config.ApprovalRecord | None, new: config.ApprovalRecord) -> Iterator[list[str]]:
    records = [record for record in (old, new) if record is not None]
    for name in _METRICS:
        yield [_LABELS.get(name, name.replace("_", " ")), *(_figure(record.metrics.get(name)) for record in records)]
    yield ["threshold", *(f"{record.threshold:.6g}" for record in records)]
    yield ["trained and tested on", *(_data(record.data) for record in records)]
    yield ["trained from", *(markdown.code(record.commit[:12]) for record in records)]
    yield ["artifact", *(markdown.code(f"sha256:{record.artifact.sha256[:12]}…") for record in records)]
    yield ["package", *(markdown.code(record.model_package_arn) for record in records)]


def _values(repository: Repository, change: Change) -> Iterator[str]:
    for path in (*config.SETTINGS, config.SERVING, config.STAGING, config.DRIFT):
        if path.as_posix() not in change.files:
            continue
        before, after = (flat(_document(repository, change, path, side)) for side in ("before", "after"))
        names = [name for name in {**before, **after} if before.get(name, _ABSENT) != after.get(name, _ABSENT)]
        rows = [[markdown.code(name), _value(before, name), _value(after, name)] for name in names]
        if path == config.SERVING:
            rows = [row for row, name in zip(rows, names, strict=True) if name != "approval"]
        if rows:
            yield f"`{path}`\n\n{markdown.table(['value', 'now', 'then'], rows)}"
        elif path in config.SETTINGS:
            yield f"`{path}` changes only in comments or spacing; it still starts a training."
    if config.DRIFT.as_posix() in change.files:
        yield f"`{config.DRIFT}` starts nothing; the next drift check reads it."


def _serving_under_gate(repository: Repository, change: Change) -> Iterator[str]:
    """Whether the model that the pointer names would pass a changed gate.yaml, on the figures of its record."""
    if config.GATE.as_posix() not in change.files:
        return
    serving = _document(repository, change, config.SERVING, "after").get("approval")
    record, content = _record(repository, change, serving, "after"), _content(repository, change, config.GATE, "after")
    if record is None or content is None:
        return
    try:
        limits = config.parse(content.decode("utf-8", "replace"), config.GATE, config.GateFile)
        found = served_model_gate.judge(limits, record)
    except ConfigError:
        return  # validate explains it
    number = _number(record.approval)
    yield (
        f"Approval {number}, at which `{config.SERVING}` points, {_JUDGED[found.status]}, on its own test rows: "
        f"{markdown.text('; '.join(found.figures))}. No pointer moves: a gate decides on new models. What the gate "
        "asks of a comparison with the champion is not in this."
    )


def _requests(repository: Repository, change: Change) -> Iterator[str]:
    added = [Path(name) for name, kind in change.files.items() if kind == "A" and Path(name).parent == config.REQUESTS]
    rows = []
    for path in (path for path in added if path.suffix == ".yaml"):
        try:
            request = config.load_request(repository.root, path.stem)
        except ConfigError:
            continue  # validate explains it
        rows.append([markdown.code(path.stem), markdown.text(request.reason), _window(request.window)])
    if rows:
        yield f"Opens retrain requests:\n\n{markdown.table(['request', 'reason', 'on events'], rows)}"


def _code(change: Change) -> Iterator[str]:
    touched = [path for path in change.files if path.startswith(_TRAINS)]
    if touched:
        yield (
            f"{len(touched)} file{'s' if len(touched) > 1 else ''} of the code that prepares, trains, evaluates or "
            "serves models changed. That starts nothing: the next training uses it, and the serving model does "
            "not change until then."
        )


def _document(repository: Repository, change: Change, path: Path, side: str) -> dict[str, Any]:
    """The document of a file on one side of the change; empty if it is missing or unreadable."""
    content = _content(repository, change, path, side)
    try:
        document = config.load_bytes(content, path) if content is not None else None
    except ConfigError:
        return {}
    return document if isinstance(document, dict) else {}


def _record(repository: Repository, change: Change, number: object, side: str) -> config.ApprovalRecord | None:
    if not isinstance(number, int) or number < 1:
        return None
    path = config.approval_path(number)
    content = _content(repository, change, path, side)
    if content is None:
        return None
    try:
        return config.parse(content.decode("utf-8", "replace"), path, config.ApprovalRecord)
    except ConfigError:
        return None


def _content(repository: Repository, change: Change, path: Path, side: str) -> bytes | None:
    if side == "before":
        return repository.show(change.base, path) if change.base is not None else None
    file = repository.root / path
    # A link could point outside the repository, and the plan is public.
    return file.read_bytes() if file.is_file() and not file.is_symlink() else None


def _value(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return _ABSENT
    value = values[name]
    return markdown.code("null" if value is None else str(value).lower() if isinstance(value, bool) else value)


def _figure(metric: config.Interval | None) -> str:
    if metric is None:
        return _ABSENT
    count = f", {metric.count:,} of {metric.of:,}" if metric.count is not None and metric.of is not None else ""
    return f"{metric.value:.4g} ({metric.low:.4g} to {metric.high:.4g}{count})"


def _data(data: config.TrainingData) -> str:
    return f"{data.rows:,} rows, {data.frauds:,} frauds, {_window(data.window)}"


def _window(window: config.Window) -> str:
    start = f"from {window.start:%Y-%m-%d %H:%M}" if window.start else "from the first"
    end = f"to {window.end:%Y-%m-%d %H:%M}" if window.end else "to the last"
    return f"{start} {end}"


def _number(approval: object) -> str:
    return f"{approval:04d}" if isinstance(approval, int) else markdown.text(approval)
