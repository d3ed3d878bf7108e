"""`fraudops explain`, `history`, `status`, `self-heal` and `reproduce`: what happened, and whether sources agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.cli.options import HERE, OnGithub, Repo, View, day, group, moment, verb
from ml.errors import UsageError

if TYPE_CHECKING:
    from ml.commands.explain import Decision
    from ml.commands.history import History, Served

app = group("Ask what happened, and why.")
_SHOWN_TERMS = 8


@verb(app, example="fraudops explain 4f1c20260301#3 --day 2026-03-01")
def explain(
    event_id: Annotated[
        str, typer.Argument(metavar="EVENT_ID", help="The request's event_id, or INFERENCE_ID#ROW if it had none.")
    ],
    on: Annotated[
        str | None,
        typer.Option(
            "--day",
            metavar="YYYY-MM-DD",
            help="The day of the answer (UTC); by default the index of scored rows and the latest days are searched.",
        ),
    ] = None,
    repo: Repo = HERE,
) -> View:
    """Explain the decision on a captured transaction: model, score, reasons, label and approval."""
    from ml.commands.explain import explain as run

    result = run(repo, event_id, day=day(on, "--day"))
    return View(value=result, rows=_decision_rows(result), error=result.error)


@verb(app, example="fraudops history --at 2026-03-18T10:00:00Z")
def history(
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Only what served at this time, ISO 8601; UTC without an offset."),
    ] = None,
    repo: Repo = HERE,
) -> View:
    """Show what served when, trained on what, approved by whom, on what evidence, and replaced why."""
    from ml.commands.history import history as run

    result = run(repo, at=moment(at, "--at"))
    return View(value=result, rows=_history_rows(result), error=result.error)


@verb(app, example="fraudops status")
def status(
    repository: OnGithub = None,
    report: Annotated[
        bool,
        typer.Option("--report", help="For workflows: write summary and warnings; differences are no error."),
    ] = False,
    hand_over: Annotated[
        bool,
        typer.Option("--hand-over", help="For workflows: write differences as a step output for `self-heal`."),
    ] = False,
    staging: Annotated[bool, typer.Option("--staging", help="Compare staging in place of production.")] = False,
    repo: Repo = HERE,
) -> View:
    """Compare Git with the cloud and name every difference; change nothing."""
    from ml.commands import status as comparing

    if staging and hand_over:
        raise UsageError("--hand-over is for production, which alone is put back by itself; leave --staging out")
    result = comparing.status(repo, repository=repository, staging=staging)
    if report:
        comparing.report(result)
    if hand_over:
        comparing.hand_over(repo, result, repository=repository)
    return View(value=result, text=result.text, error=None if report else result.error)


@verb(app, "self-heal", example='FRAUDOPS_HAND_OVER="$(cat differences.yaml)" fraudops self-heal')
def self_heal(
    document: Annotated[
        str,
        typer.Option(
            "--document",
            envvar="FRAUDOPS_HAND_OVER",
            metavar="YAML",
            help="The step output `differences` of `fraudops status --hand-over`.",
        ),
    ],
    repo: Repo = HERE,
) -> View:
    """Start deploy.yml, once, for differences from Git that it puts back; needs no AWS account."""
    from ml.commands.self_heal import self_heal as run

    result = run(repo, document=document)
    rows: list[tuple[str, Any]] = [
        ("action", result.action),
        ("reason", result.reason),
        ("subjects", ", ".join(result.subjects) or "none"),
        ("issue", result.issue),
    ]
    return View(value=result, rows=rows)


@verb(app, example="fraudops reproduce 3")
def reproduce(
    approval: Annotated[int, typer.Argument(metavar="NNNN", min=1, help="The number of the approval.")],
    revision: Annotated[
        str, typer.Option("--at", metavar="REVISION", help="Where its record is; approve/NNNN before it is merged.")
    ] = "main",
    repo: Repo = HERE,
) -> View:
    """Train an approval again from its commit and data; exit code 0 only if the archive has the same digest.

    It starts the jobs of a training, which cost the same, and registers nothing.
    """
    from ml import render
    from ml.commands.reproduce import reproduce as run

    result = run(repo, approval, revision=revision)
    rows = [
        (f"approval {result.approval:04d}", "reproduced" if result.reproduced else "not reproduced"),
        ("trained", f"by commit {result.commit} on data {result.data_sha256}"),
        ("approved", result.approved_sha256),
        ("again", result.sha256),
        ("archive", result.uri),
        ("execution", result.execution_arn),
        *(("differs", text) for text in result.differences),
    ]
    return View(value={**render.plain(result), "reproduced": result.reproduced}, rows=rows, error=result.error)


def _history_rows(found: History) -> list[tuple[str, Any]]:
    from ml import render

    rows: list[tuple[str, Any]] = []
    for turn in found.turns:
        rows += [*_turn_rows(turn), ("", "")]
    if not found.turns:
        when = f"at {render.plain(found.at)}" if found.at else "yet"
        rows.append((found.endpoint, f"nothing served {when}"))
    return [*rows, *(("disagrees", text) for text in found.disagreements)]


def _turn_rows(turn: Served) -> list[tuple[str, Any]]:
    from ml import render

    start, end = (render.plain(each) for each in (turn.start, turn.end))
    served = f"served {start} to {end}" if end else f"serves since {start}" if start else "never served"
    record, data = turn.record, turn.data
    failed = [f"failed on {each.finished}: {each.reason}" for each in turn.deployments if each.status == "failed"]
    rows: list[tuple[str, Any]] = [
        (f"approval {turn.approval:04d}" if turn.approval is not None else "no approval", served),
        *(("  deployment", text) for text in failed),
    ]
    if record is not None:
        rows.append(("  trained", f"{record.kind} by commit {record.commit}; {record.data.rows:,} rows"))
    if data is not None:
        imports = ", ".join(data.imports) or "none"
        rows.append(("  data", f"{data.sha256}: imports {imports}; {data.label_files} later label files"))
    rows += [(f"  {name}", text) for name, text in _origin_rows(turn.approved)]
    if turn.signed is not None:
        rows.append(("  provenance", "signed statement verified" if turn.signed else "no signed statement"))
    if record is not None:
        metrics = {name: render.figure(metric.model_dump()) for name, metric in record.metrics.items()}
        figures = [f"{name} {metrics[name]}" for name in ("recall", "precision") if name in metrics]
        rows.append(("  evidence", "; ".join([f"{record.verdict.status}: {record.verdict.reason}", *figures])))
        rows.append(("  evaluation", record.evaluation.uri))
    return [
        *rows,
        ("  replaced", turn.replaced or None),
        *(("  not compared", text) for text in turn.unchecked),
        *(("  disagrees", text) for text in turn.disagreements),
    ]


def _decision_rows(found: Decision) -> list[tuple[str, Any]]:
    from ml import render

    stamp = render.plain
    record, again = found.record, found.recomputed
    repeated = f"; the last of {found.answers_of_the_day} answers of the day" if found.answers_of_the_day > 1 else ""
    outcome = {1: "alert", 0: "no alert", -1: "no decision captured"}[found.decision]
    rows: list[tuple[str, Any]] = [
        ("event", found.event_id),
        ("answered", f"{stamp(found.at)} by {found.endpoint}, row {found.row + 1} of {found.rows}{repeated}"),
        ("captured", found.captured),
        (
            "decision",
            f"{outcome}: score {found.score:.6g}, threshold {found.threshold:.6g} ({found.threshold_policy})",
        ),
        ("model", f"approval {record.approval:04d}, sha256 {record.artifact.sha256}"),
        ("archive", record.artifact.uri),
    ]
    if again is not None:
        rows.append(("computed again", f"{again.score:.6g}; fraud rate to expect {again.calibrated:.3g}"))
        for part in again.parts:
            rows += _part_rows(part)
    rows += [("label", f"{_label(each.label)}, {each.channel}, known {stamp(each.known_at)}") for each in found.labels]
    counts = f"{_label(found.label)} counts" if len(found.labels) > 1 else None
    metrics = {name: render.figure(metric.model_dump()) for name, metric in record.metrics.items()}
    return [
        *rows,
        ("label", counts if found.labels else "none is known"),
        (
            "deployed",
            ", ".join(f"{each.approval:04d} on {each.finished} ({each.status})" for each in found.deployments),
        ),
        *_origin_rows(found.origin),
        ("trained", f"by commit {record.commit} on data {record.data.sha256}, {record.data.rows:,} rows"),
        ("gate", f"{record.verdict.status}: {record.verdict.reason}"),
        *((name.replace("_", " "), text) for name, text in metrics.items() if name in ("recall", "precision")),
        ("evaluation", record.evaluation.uri),
        *(("disagrees", text) for text in found.disagreements),
    ]


def _label(label: int | None) -> str:
    return "fraud" if label == 1 else "legitimate"


def _part_rows(part: Any) -> list[tuple[str, str]]:
    name = f"{part.pattern} pattern"
    rows = [(name, f"log-odds {part.log_odds:+.3f}, probability {part.probability:.3g}")]
    rows += [(f"  {term.input}", _term(term)) for term in part.terms[:_SHOWN_TERMS]]
    if rest := part.terms[_SHOWN_TERMS:]:
        rows.append((f"  {len(rest)} others", f"{sum(term.log_odds for term in rest):+.3f}"))
    return [*rows, ("  intercept", f"{part.intercept:+.3f}")]


def _term(term: Any) -> str:
    value = f"{term.value:.6g}" if isinstance(term.value, float) else term.value or "(empty)"
    if term.level is not None and term.level != term.value:
        value += f" {term.level}"
    elif term.low is not None or term.high is not None:
        low, high = ("" if end is None else f"{end:.6g}" for end in (term.low, term.high))
        value += f", hour {low} to {high}" if term.hour_of_day else f" in {low or '-∞'} to {high or '∞'}"
    return f"{term.log_odds:+.3f}  {value}"


def _origin_rows(origin: Any) -> list[tuple[str, str]]:
    from ml import render

    if origin is None:
        return []
    rows = [
        ("approved", f"by commit {origin.commit} of {origin.author}, {render.plain(origin.time)}: {origin.subject}")
    ]
    pull = origin.pull
    if pull is not None:
        reviewers = ", ".join(pull.approved_by) or "nobody"
        text = f"{pull.url} by {pull.author}, merged by {pull.merged_by}, approved by {reviewers}"
    else:
        text = f"not read: {origin.unread}" if origin.unread else "none on GitHub has that merge commit"
    return [*rows, ("pull request", text)]
