"""`fraudops VERB`: parses, calls one function and renders its value; an error becomes one line and an exit code.

Everything heavy is imported inside the verb that needs it, so that help appears at once.
"""

from __future__ import annotations

import os
import sys
import traceback
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.errors import CloudError, FraudopsError

_CODES = (
    "Exit codes: 0 done, 1 unexpected, 2 wrong command line, 3 model-config, 4 data, 5 model archive, 6 gate missed, "
    "7 refused, 8 training failed, 9 not deployed, 10 AWS, 11 Git, 12 GitHub."
)
_OPTIONS: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": "rich", "pretty_exceptions_enable": False}
app = typer.Typer(help="Trains, gates, approves, deploys and rolls back a fraud model; Git says what.", **_OPTIONS)
data = typer.Typer(help="Transactions and labels: land them in the lake, or draw a stand-in.", **_OPTIONS)
pipeline = typer.Typer(help="The SageMaker pipeline that trains.", **_OPTIONS)
local = typer.Typer(help="AWS on this machine: real calls, answered on loopback, no account.", **_OPTIONS)
app.add_typer(data, name="data")
app.add_typer(pipeline, name="pipeline")
app.add_typer(local, name="local")

Repo = Annotated[Path, typer.Option("--repo", help="The repository's root.", show_default="here")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Folder = Annotated[Path, typer.Option("--dir", help="Where the local cloud keeps its state, logs and job folders.")]
Merge = Annotated[bool, typer.Option("--merge", help="Merge the branch into the one checked out, with a merge commit.")]
HERE = Path()
LOCAL = Path(".fraudops/local")


@app.callback(epilog=_CODES)
def options(
    trace: Annotated[bool, typer.Option("--traceback", help="Show where an error was raised, for developers.")] = False,
) -> None:
    """Trains, gates, approves, deploys and rolls back a fraud model; Git says what."""
    if trace:
        os.environ["FRAUDOPS_TRACEBACK"] = "1"


@data.command("import", epilog="Example: fraudops data import creditcard.csv --start 2013-09-01 --quarantine")
def data_import(
    path: Annotated[str, typer.Argument(help="CSV, gzipped CSV or Parquet; a local path or s3://.")],
    start: Annotated[str | None, typer.Option(help="The day (YYYY-MM-DD, UTC) from which Time counts.")] = None,
    quarantine: Annotated[bool, typer.Option(help="Set rows that break the contract aside; load the rest.")] = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Checks a file of transactions and lands it in the lake, labels apart."""
    from ml import config, render
    from ml.aws import platform
    from ml.aws.lake import Lake
    from ml.commands.data import import_data

    columns = config.load_settings(repo).training.columns
    platform.refuse_root()
    lake = Lake(platform.read().bucket)
    report = import_data(path, lake=lake, columns=columns, start=_day(start, "--start"), quarantine=quarantine)
    rows = [
        ("import", f"{report.name} ({'landed' if report.new else 'there already, nothing written'})"),
        ("rows", f"{report.rows:,}: {report.landed:,} landed, {report.quarantined:,} in quarantine"),
        ("set aside", report.quarantine_path),
        ("problems", ", ".join(f"{kind} {count:,}" for kind, count in report.problems.items()) or None),
        ("frauds", f"{report.frauds:,}"),
        ("duplicates", f"{report.duplicates:,} (kept)"),
        ("events", f"{render.plain(report.start)} to {render.plain(report.end)}"),
        ("manifest", report.manifest_uri),
        *(("note", text) for text in report.notes),
    ]
    render.show(report, rows, as_machine=json)


@data.command("synthesise", epilog="Example: fraudops data synthesise --seed 7 --out transactions.parquet")
def data_synthesise(
    rows: Annotated[int, typer.Option(min=1, help="Transactions to draw.")] = 284_807,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    start: Annotated[str | None, typer.Option(help="The first day (YYYY-MM-DD); adds event_time.")] = None,
    months: Annotated[int | None, typer.Option(min=1, help="Spread over calendar months, not two days.")] = None,
    out: Annotated[Path, typer.Option(help="Ends in .csv, .csv.gz or .parquet.")] = Path("standin.parquet"),
    json: Json = False,
) -> None:
    """Draws stand-in transactions from published statistics of real ones."""
    from ml import render
    from ml.simulate import files, standin

    table = standin.draw(rows, seed=seed, start=_day(start, "--start"), months=months)
    size = files.write(out, table)
    frauds = int(sum(table.column("Class").to_pylist()))
    summary = {"path": str(out), "rows": table.num_rows, "frauds": frauds, "bytes": size, "seed": seed}
    render.show(summary, [(name, f"{value:,}" if isinstance(value, int) else value) for name, value in summary.items()],
                as_machine=json)  # fmt: skip


@pipeline.command("definition", epilog="Example: fraudops pipeline definition --bucket my-lake > definition.json")
def pipeline_definition(
    bucket: Annotated[str | None, typer.Option(help="Offline: the lake's bucket.")] = None,
    role: Annotated[str | None, typer.Option(help="Offline: the execution role's ARN.")] = None,
    group: Annotated[str | None, typer.Option(help="Offline: the model package group.")] = None,
    region: Annotated[str | None, typer.Option(help="Offline: the region.")] = None,
    repo: Repo = HERE,
) -> None:
    """Prints the definition that AWS would get; of the platform stack, or offline of what the options say."""
    from ml.commands.pipeline import definition

    typer.echo(definition(repo, bucket=bucket, role=role, group=group, region=region))


@app.command(epilog="Example: fraudops train --start 2013-09-01T00:00:00Z")
def train(
    request: Annotated[list[str] | None, typer.Option(help="Answer this retrain request only (repeatable).")] = None,
    start: Annotated[str | None, typer.Option(help="Train on events from this time on (ISO 8601).")] = None,
    end: Annotated[str | None, typer.Option(help="Train on events before this time (ISO 8601).")] = None,
    resume: Annotated[str | None, typer.Option(metavar="ARN", help="Wait for this execution; start none.")] = None,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Runs the pipeline on what is committed; ends 0 only if a model package was registered."""
    from ml import render
    from ml.commands.train import train as run

    window = None
    if start or end:
        window = _window(_moment(start, "--start"), _moment(end, "--end"))
    outcome = run(repo, requests=request, window=window, resume=resume)
    evaluation = outcome.evaluation
    rows = [
        ("package", outcome.package_arn),
        *render.evaluation_rows(evaluation),
        ("evaluation", outcome.evaluation_uri),
        ("next", f"fraudops approve {outcome.package_arn}"),
    ]
    render.show(outcome, rows, as_machine=json)


@app.command(epilog="Example: fraudops approve arn:aws:sagemaker:…:model-package/fraudops-model/3 --merge")
def approve(
    package: Annotated[str, typer.Argument(metavar="PACKAGE_ARN", help="The registered model package.")],
    merge: Merge = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Makes the approval branch: one commit for the record, one that moves the pointer."""
    from ml import render
    from ml.commands.approve import approve as run

    result = run(repo, package, merge=merge)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops deploy")
def deploy(repo: Repo = HERE, json: Json = False) -> None:
    """Makes the endpoint serve exactly what the commit checked out says, and proves it."""
    from ml import render
    from ml.commands.deploy import deploy as run

    result = run(repo)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops rollback --to 3 --merge && fraudops deploy")
def rollback(
    to: Annotated[int | None, typer.Option(help="The approval to return to; the former one by default.")] = None,
    merge: Merge = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Prepares the revert of the pointer's commit, to a model that served before."""
    from ml import render
    from ml.commands.rollback import rollback as run

    result = run(repo, to=to, merge=merge)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops score model.tar.gz transactions.csv --out scores.parquet")
def score(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tar.gz", help="A model archive.")],
    path: Annotated[Path, typer.Argument(metavar="DATA", help="CSV, gzipped CSV or Parquet.")],
    out: Annotated[Path, typer.Option(help="Ends in .csv or .parquet.")],
    json: Json = False,
) -> None:
    """Scores a file with a model archive, offline."""
    from ml import render
    from ml.commands.score import score as run

    report = run(model, path, out)
    rows = [
        ("rows", f"{report.rows:,}"),
        ("alerts", f"{report.alerts:,} at {report.threshold:.6g} or more"),
        ("scores", report.out),
        ("model", f"version {report.model_version}, sha256 {report.artifact_sha256}"),
    ]
    render.show(report, rows, as_machine=json)


@app.command(epilog="Example: fraudops evaluate model.tar.gz labelled.csv --json")
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tar.gz", help="A model archive.")],
    path: Annotated[Path, typer.Argument(metavar="DATA", help="CSV, gzipped CSV or Parquet, with labels.")],
    label: Annotated[str | None, typer.Option(help="The label's column, where it is not the model's own.")] = None,
    alert_budget: Annotated[float | None, typer.Option(help="Share of rows that may be alerted.")] = None,
    json: Json = False,
) -> None:
    """Reports how a model archive does on a labelled file, at its own threshold, offline."""
    from ml import render
    from ml.commands.score import evaluate as run

    result = run(model, path, label=label, alert_budget=alert_budget)
    render.show(result, render.evaluation_rows(result), as_machine=json)


@app.command(epilog="Example: fraudops bootstrap")
def bootstrap(
    notify: Annotated[str | None, typer.Option(help="An e-mail address to tell of refusals and failures.")] = None,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Makes the platform stack (lake, roles, registry, rule, Lambda), or brings it up to date."""
    from ml import render
    from ml.commands.bootstrap import bootstrap as run

    result = run(repo, notify=notify)
    render.show(result, [("stack", f"{result.stack}: {result.state}"), *render.fields(result.platform)],
                as_machine=json)  # fmt: skip


@local.command("up", epilog='Example: fraudops local up && eval "$(fraudops local env)"')
def local_up(folder: Folder = LOCAL, json: Json = False) -> None:
    """Starts the local cloud in the background and says how to use it."""
    from ml import render
    from ml.local import daemon

    status = daemon.up(folder)
    render.show(status, [*render.fields(status), ("use it", f'eval "$(fraudops local env --dir {folder})"')],
                as_machine=json)  # fmt: skip


@local.command("down", epilog="Example: fraudops local down")
def local_down(folder: Folder = LOCAL) -> None:
    """Ends the local cloud with all its processes; its state is discarded."""
    from ml.local import daemon

    daemon.down(folder)


@local.command("status", epilog="Example: fraudops local status --json")
def local_status(folder: Folder = LOCAL, json: Json = False) -> None:
    """Says whether the local cloud runs, where, and where its logs are."""
    from ml import render
    from ml.local import daemon

    status = daemon.status(folder)
    render.show(status, render.fields(status), as_machine=json)


class Shell(StrEnum):
    """How `local env` writes the variables."""

    sh = "sh"
    dotenv = "dotenv"


@local.command("env", epilog='Example: eval "$(fraudops local env)"')
def local_env(folder: Folder = LOCAL, form: Annotated[Shell, typer.Option(help="sh or dotenv.")] = Shell.sh) -> None:
    """Prints the variables that make the AWS SDKs talk to the local cloud."""
    import shlex

    from ml.local import daemon

    prefix = "export " if form is Shell.sh else ""
    for name, value in daemon.environment(folder).items():
        typer.echo(f"{prefix}{name}={shlex.quote(value)}")


@app.command(epilog="Example: fraudops demo --seed 3")
def demo(
    path: Annotated[Path | None, typer.Option("--data", help="Real transactions in place of the stand-in.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the stand-in.")] = 0,
    out: Annotated[Path, typer.Option(help="Where everything the demo makes is put; emptied first.")] = Path(
        "build/demo"
    ),
    repo: Repo = HERE,
) -> None:
    """Goes from a commit to a served model on this machine, shows it, and leaves nothing running."""
    from ml.local.demo import run

    run(repo.resolve(), out=out.resolve(), data=path.resolve() if path else None, seed=seed)


def main() -> None:
    """The entry point: every failure ends non-zero with one line that says what, where and what to do."""
    try:
        app(standalone_mode=True)
    except FraudopsError as error:
        _fail(error)
    except Exception as error:
        # An AWS call that no verb has explained is a cloud's failure, not a bug; told apart without importing botocore.
        if type(error).__module__.partition(".")[0] == "botocore":
            _fail(CloudError(f"{error}; check the region, the credentials and AWS_ENDPOINT_URL"))
        raise


def _fail(error: FraudopsError) -> None:
    if os.environ.get("FRAUDOPS_TRACEBACK"):
        traceback.print_exception(error)
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    sys.exit(error.exit_code)


def _day(text: str | None, option: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"must be a day, as 2013-09-01 (got {text!r})", param_hint=option) from None


def _moment(text: str | None, option: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(
            f"must be ISO 8601, as 2013-09-01T00:00:00Z (got {text!r})", param_hint=option
        ) from None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _window(start: datetime | None, end: datetime | None) -> Any:
    from ml.config import Window

    if start is not None and end is not None and start >= end:
        raise typer.BadParameter(f"must be later than --start (got {end.isoformat()})", param_hint="--end")
    return Window(start=start, end=end)
