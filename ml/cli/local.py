"""AWS and GitHub on this machine, and the demo that uses both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import HERE, Json, Repo, group

Folder = Annotated[Path, typer.Option("--dir", help="Where the local clouds keep their state, logs and job folders.")]
LOCAL = Path(".fraudops/local")
app = group("Show the whole of it.")
local = group("AWS and GitHub on this machine: real calls, answered on loopback, no account.")


@local.command("up", epilog='Example: fraudops local up && eval "$(fraudops local env)"')
def local_up(folder: Folder = LOCAL, json: Json = False) -> None:
    """Starts the local cloud in the background and says how to use it."""
    from ml import render
    from ml.playground import daemon

    status = daemon.up(folder)
    render.show(status, [*render.fields(status), ("use it", f'eval "$(fraudops local env --dir {folder})"')],
                as_machine=json)  # fmt: skip


@local.command("down", epilog="Example: fraudops local down")
def local_down(folder: Folder = LOCAL, json: Json = False) -> None:
    """Ends the local cloud with all its processes, or what a crashed one left; its state is discarded."""
    from ml import render
    from ml.playground import daemon

    status = daemon.down(folder)
    render.show(status, render.fields(status), as_machine=json)


@local.command("status", epilog="Example: fraudops local status --json")
def local_status(folder: Folder = LOCAL, json: Json = False) -> None:
    """Says whether the local cloud runs, where, and where its logs are; ends 0 either way, `running` tells."""
    from ml import render
    from ml.playground import daemon

    status = daemon.status(folder)
    render.show(status, render.fields(status), as_machine=json)


@local.command("env", epilog='Example: eval "$(fraudops local env)"')
def local_env(folder: Folder = LOCAL) -> None:
    """Prints what makes AWS's and GitHub's clients, and gh, talk to the local clouds, as lines for a shell."""
    from ml.playground import daemon

    typer.echo(daemon.exports(folder))


@app.command(epilog="Example: fraudops demo --seed 3")
def demo(
    path: Annotated[Path | None, typer.Option("--data", help="Real transactions in place of the stand-in.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the stand-in.")] = 0,
    out: Annotated[Path, typer.Option(help="Where everything the demo makes is put; emptied first.")] = Path(
        "build/demo"
    ),
    repo: Repo = HERE,
) -> None:
    """Goes from a commit to a served model, a challenger and a rollback, and leaves nothing running."""
    from ml.playground.demo import run

    run(repo.resolve(), out=out.resolve(), data=path.resolve() if path else None, seed=seed)


@app.command(epilog="Example: fraudops simulate --months 12 --seed 1 --scenario concept-only")
def simulate(
    months: Annotated[int, typer.Option(min=1, max=120, help="How many are played.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Of the traffic; the same seed gives the same year.")] = 0,
    scenario: Annotated[
        str, typer.Option(help="What drifts and when: one of those in ml/simulate/scenarios, or a file like them.")
    ] = "both",
    rows: Annotated[int, typer.Option(min=1_000, help="Transactions of an average month.")] = 24_000,
    out: Annotated[Path, typer.Option(help="Where report, pages, logs and the clone are put; emptied first.")] = Path(
        "build/simulation"
    ),
    keep: Annotated[
        Path | None, typer.Option(help="Where summary.json and the last model are put; in --out by default.")
    ] = None,
    repo: Repo = HERE,
) -> None:
    """Plays a year of traffic that drifts through the real loop, beside a control year without retraining."""
    from ml.playground.year import run

    run(
        repo.resolve(),
        out=out.resolve(),
        scenario_name=scenario,
        seed=seed,
        rows=rows,
        months=months,
        keep=keep.resolve() if keep else None,
    )
