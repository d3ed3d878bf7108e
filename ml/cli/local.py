"""`fraudops local`, `demo`, `simulate`: runs the emulators, the demo and the simulated year on this machine."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli.options import HERE, Command, Json, Repo, View, existing, group, verb
from ml.errors import CloudError, UsageError

Folder = Annotated[Path, typer.Option("--dir", help="Where the emulators keep state, logs and job folders.")]
LOCAL = Path(".fraudops/local")
app = group("Play the loop on this machine.")
local = group("Run the AWS and GitHub emulators on loopback.")


class Scene(StrEnum):
    """What a run of chaos plays, as in `ml.playground.chaos.shard`."""

    TRAINING = "training"
    WHOLE = "whole"
    WATCH = "watch"


class EmulatorsMissing(CloudError):
    """The verb needs the emulators, which are separate packages, and they are not installed."""


def _require_emulators() -> None:
    """Raises EmulatorsMissing if the emulators are not installed. Only these verbs need them."""
    missing = [name for name in ("local_aws", "local_github") if find_spec(name) is None]
    if missing:
        raise EmulatorsMissing(
            f"{' and '.join(missing)} not installed; in a checkout run `make demo` once, or "
            "`pip install --editable emulators/aws --editable emulators/github`"
        )


@verb(local, "up", example='fraudops local up && eval "$(fraudops local env)"')
def local_up(folder: Folder = LOCAL) -> View:
    """Start the emulators in the background, AWS in the region AWS_REGION, and show how to use them."""
    _require_emulators()
    from ml import render
    from ml.playground import daemon

    status = daemon.up(folder)
    command = f'eval "$(fraudops local env --dir {folder})"'
    return View(value=status, rows=[*_of_running(render.fields(status)), ("use it", command)])


@verb(local, "down", example="fraudops local down")
def local_down(folder: Folder = LOCAL) -> View:
    """Stop the emulators and all their processes, also those of a crash; their state is discarded."""
    _require_emulators()
    from ml import render
    from ml.playground import daemon

    status = daemon.down(folder)
    left = [("ended", f"{status.ended:,} processes that a crash had left")] if status.ended else []
    return View(value=status, rows=[*_of_running(render.fields(status)), *left])


@verb(local, "status", example="fraudops local status --json")
def local_status(folder: Folder = LOCAL) -> View:
    """Show whether the emulators run, where, and where their logs are; exit code 0 either way."""
    _require_emulators()
    from ml import render
    from ml.playground import daemon

    status = daemon.status(folder)
    return View(value=status, rows=_of_running(render.fields(status)))


def _of_running(rows: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The rows without the number of processes that `down` has ended."""
    return [row for row in rows if row[0] != "ended"]


@verb(local, "env", example='eval "$(fraudops local env)"')
def local_env(folder: Folder = LOCAL) -> View:
    """Print shell lines that point AWS's and GitHub's clients, and gh, at the emulators; as JSON, the variables."""
    _require_emulators()
    from ml.playground import daemon

    return View(value=daemon.shell_environment(folder), text=daemon.exports(folder))


@verb(local, "chaos", example="fraudops local chaos --seed 7")
def local_chaos(
    seed: Annotated[int, typer.Option(min=1, help="Seed of the faults; the same seed gives the same run.")],
    runs: Annotated[int, typer.Option(min=1, help="How many seeds, from --seed on.")] = 1,
    results: Annotated[
        Path | None, typer.Option(help="File that gets one JSON line per run; seeds in it are not run again.")
    ] = None,
    scene: Annotated[
        Scene,
        typer.Option(
            help="What each run plays: training, from nothing to a served model; whole, also a second model, a "
            "rollback and a failed gate; watch, labels, a drift check and the request for a retrain."
        ),
    ] = Scene.TRAINING,
    repo: Repo = HERE,
) -> View:
    """Run the loop under seeded faults of AWS, GitHub and the machine, and check its invariants."""
    _require_emulators()
    from ml.errors import FraudopsError
    from ml.playground.chaos import shard

    played = shard.run(repo.resolve(), range(seed, seed + runs), results=results, scene=scene.value)
    bad = [f"seed {each.seed}: {violation}" for each in played for violation in each.violations]
    return View(
        value=[each.as_json() for each in played],
        rows=[(f"seed {each.seed}", each.summary) for each in played],
        error=FraudopsError(f"{len(bad)} violations: {'; '.join(bad)}") if bad else None,
    )


@app.command(cls=Command, epilog="Example: fraudops demo --seed 3")
def demo(
    path: Annotated[
        Path | None,
        typer.Option("--data", callback=existing, help="Real transactions instead of stand-in data."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the stand-in data.")] = 0,
    out: Annotated[Path, typer.Option(help="Output folder; emptied first.")] = Path("build/demo"),
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Play one round: from a commit to a served model, a challenger and a rollback. Leaves no process running.

    With --json the last screen is the content of summary.json.
    """
    _require_emulators()
    from ml import render
    from ml.playground.demo_round import run

    summary = run(
        repo.resolve(), out=out.resolve(), data=path.resolve() if path else None, seed=seed, last_screen=not json
    )
    if json:
        typer.echo(render.as_json(summary))


@app.command(cls=Command, epilog="Example: fraudops simulate --months 12 --seed 1 --scenario concept-only")
def simulate(
    months: Annotated[int, typer.Option(min=1, max=120, help="How many months to play.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the traffic; the same seed gives the same year.")] = 0,
    scenario: Annotated[
        str, typer.Option(help="The name of a file in ml/simulate/scenarios, or the path of one like them.")
    ] = "both",
    rows: Annotated[int, typer.Option(min=1_000, help="Transactions in an average month.")] = 24_000,
    out: Annotated[
        Path, typer.Option(help="Output folder for report, pages, logs and the clone; emptied first.")
    ] = Path("build/simulation"),
    profile: Annotated[
        Path | None, typer.Option(help="Of `fraudops data profile`: traffic like your own data, in your columns.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for summary.json and the last model; --out by default.")
    ] = None,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Play a year of drifting traffic through the real loop, beside a control year without retraining.

    With --json the last screen is the content of report.json.
    """
    _require_emulators()
    from ml import render
    from ml.playground.simulated_year import run
    from ml.simulate.scenario import names

    if not scenario.endswith((".yaml", ".yml")) and scenario not in names():
        raise UsageError(f"--scenario must be one of {', '.join(names())}, or a path to a .yaml (got {scenario!r})")

    report = run(
        repo.resolve(),
        out=out.resolve(),
        scenario_name=scenario,
        seed=seed,
        rows=rows,
        months=months,
        keep=keep.resolve() if keep else None,
        profile=profile.resolve() if profile else None,
        last_screen=not json,
    )
    if json:
        typer.echo(render.as_json(report))
