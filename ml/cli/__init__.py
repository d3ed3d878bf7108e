"""The command line: parses, calls one verb and renders its result. An error becomes one line and an exit code.

Heavy imports are inside the verbs that need them, so that `--help` is fast.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from ml.cli import (
    audit,
    ci,
    data,
    drift,
    exploration,
    infrastructure,
    labels,
    local,
    release,
    score_and_evaluate,
    site,
    training,
)
from ml.cli.options import SETTINGS
from ml.errors import CloudError, FraudopsError

_CODES = (
    "Exit codes: 0 success, 1 unexpected, 2 wrong command line, 3 model-config, 4 data, 5 model archive, "
    "6 gate failed, 7 refused, 8 training failed, 9 not deployed, 10 AWS, 11 Git, 12 GitHub, "
    "13 not ready, or sources disagree."
)
_MESSAGE_CHARACTERS = 300  # of an unexpected error
_INTERRUPTED = 128 + signal.SIGINT  # the exit code that typer uses after Ctrl-C
app = typer.Typer(**SETTINGS)
for panel, verbs, groups in (
    ("Data and training", training.app, {"data": data.app, "labels": labels.labels, "pipeline": training.pipeline}),
    ("Approval, deployment, drift", release.app, {"drift": drift.drift}),
    ("What happened, and why", audit.app, {"site": site.site}),
    ("Data and models offline", exploration.app, {}),
    ("Data and models offline", score_and_evaluate.app, {}),
    ("Checks of a pull request", ci.app, {}),
    ("Platform", infrastructure.app, {"infra": infrastructure.infra}),
    ("On this machine", local.app, {"local": local.local}),
):
    for command in verbs.registered_commands:
        command.rich_help_panel = panel
        app.registered_commands.append(command)
    for name, subcommands in groups.items():
        app.add_typer(subcommands, name=name, rich_help_panel=panel)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"fraudops {metadata.version('fraudops')}")
        raise typer.Exit


@app.callback(epilog=_CODES)
def options(
    trace: Annotated[bool, typer.Option("--traceback", help="Show where an error was raised, for developers.")] = False,
    version: Annotated[  # noqa: ARG001 - the callback handles it before any verb runs
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Train, gate, approve, deploy and watch a fraud model from a Git repository."""
    if trace:
        os.environ["FRAUDOPS_TRACEBACK"] = "1"


def main() -> None:
    """The entry point. Every failure prints one line (what, where, what to do) and exits with its code."""
    # By default SIGTERM runs no clean-up, so a cancelled job would leave servers behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            typer.echo("error: interrupted; run the same command again to continue or to start over", err=True)
        raise
    except FraudopsError as error:
        _fail(error)
    except Exception as error:
        # An AWS error that no verb handles is not a bug. It is recognised without importing botocore.
        if type(error).__module__.partition(".")[0] == "botocore":
            _fail(CloudError(f"{error}; check the region, the credentials and AWS_ENDPOINT_URL"))
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    """Prints one line and exits with the error's code; an unexpected error exits with 1 and asks for a report."""
    if os.environ.get("FRAUDOPS_TRACEBACK"):
        traceback.print_exception(error)
    text = " ".join(str(error).split())
    if isinstance(error, FraudopsError):
        typer.echo(f"error: {text}", err=True)
        sys.exit(error.exit_code)
    shown = text if len(text) <= _MESSAGE_CHARACTERS else f"{text[:_MESSAGE_CHARACTERS]}…"
    typer.echo(
        f"error: unexpected: {type(error).__name__}: {shown}; run again as `fraudops --traceback …` and report it",
        err=True,
    )
    sys.exit(FraudopsError.exit_code)
