"""`fraudops VERB`: parses, calls one function and renders its value; an error becomes one line and an exit code.

Everything heavy is imported inside the verb that needs it, so that help appears at once.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from ml.cli import data, local, repository, serving, training
from ml.cli.options import SETTINGS
from ml.errors import CloudError, FraudopsError

_CODES = (
    "Exit codes: 0 done, 1 unexpected, 2 wrong command line, 3 model-config, 4 data, 5 model archive, 6 gate failed, "
    "7 refused, 8 training failed, 9 not deployed, 10 AWS, 11 Git, 12 GitHub."
)
_SHOWN = 300  # characters of a failure that nobody has put in words
app = typer.Typer(**SETTINGS)
for panel, verbs, groups in (
    ("Train and propose", training.app, {"pipeline": training.pipeline, "data": data.app}),
    ("Approve, deploy, watch", serving.app, {"drift": serving.drift}),
    ("Check and set up", repository.app, {"infra": repository.infra}),
    ("On this machine", local.app, {"local": local.local}),
):
    for verb in verbs.registered_commands:
        verb.rich_help_panel = panel
        app.registered_commands.append(verb)
    for name, subcommands in groups.items():
        app.add_typer(subcommands, name=name, rich_help_panel=panel)


@app.callback(epilog=_CODES)
def options(
    trace: Annotated[bool, typer.Option("--traceback", help="Show where an error was raised, for developers.")] = False,
) -> None:
    """Trains, gates, approves, deploys and rolls back a fraud model; Git says what."""
    if trace:
        os.environ["FRAUDOPS_TRACEBACK"] = "1"


def main() -> None:
    """The entry point: every failure ends non-zero with one line that says what, where and what to do."""
    # A cancelled job ends what it started: by default SIGTERM would run no clean-up, and leave servers behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app(standalone_mode=True)
    except FraudopsError as error:
        _fail(error)
    except Exception as error:
        # An AWS call that no verb has explained is a cloud's failure, not a bug; told apart without importing botocore.
        if type(error).__module__.partition(".")[0] == "botocore":
            _fail(CloudError(f"{error}; check the region, the credentials and AWS_ENDPOINT_URL"))
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    """Ends with one line and the failure's own code; what nobody foresaw ends with 1 and asks to be reported."""
    if os.environ.get("FRAUDOPS_TRACEBACK"):
        traceback.print_exception(error)
    text = " ".join(str(error).split())
    if isinstance(error, FraudopsError):
        typer.echo(f"error: {text}", err=True)
        sys.exit(error.exit_code)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    typer.echo(
        f"error: unexpected: {type(error).__name__}: {shown}; run again as `fraudops --traceback …` and report it",
        err=True,
    )
    sys.exit(FraudopsError.exit_code)
