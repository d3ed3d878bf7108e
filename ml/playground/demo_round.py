"""`fraudops demo` (`FAST=1 make demo`): trains, deploys, replaces and rolls back a model on the emulators.

A developer proposes and merges, a scripted reviewer approves, and the workflow files do the rest, the same files that
run on GitHub, in a repository with the settings that `fraudops bootstrap` asks for: a clone that starts with the
shipped state; the repository itself never changes. Everything it makes is in one folder; no process is left running.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml import config, console, render
from ml.errors import DeploymentFailed, Refused
from ml.playground import demo_site
from ml.playground.developer import Developer, check_repository, isolated_environment
from ml.playground.endpoint_probe import check_scores, latest_transactions, wait_for_capture

SCORED = 1_000
REPOSITORY = "fraudops"
MARKER_FILE = ".made-by-demo"
"""A folder with this file was made by a demo; the next demo may empty it."""


@dataclass(frozen=True, kw_only=True)
class OutputFolder:
    """The files and folders that the demo makes below `out`."""

    out: Path

    @property
    def cloud(self) -> Path:
        """State, logs and job folders of both emulators."""
        return self.out / "cloud"

    @property
    def repository(self) -> Path:
        """The clone that the demo commits in."""
        return self.out / "repository"

    @property
    def looks(self) -> Path:
        """What the daily looks of a year print and keep."""
        return self.out / "looks"

    @property
    def pages(self) -> Path:
        """Pull requests, runs and logs as pages."""
        return self.out / "github"

    @property
    def site(self) -> Path:
        """The site that `fraudops site build` makes."""
        return self.out / "site"

    @property
    def model(self) -> Path:
        """The artifact of the model that serves at the end."""
        return self.out / "model.tar.gz"

    @property
    def summary(self) -> Path:
        """The figures of the printed table as JSON."""
        return self.out / "summary.json"


@dataclass(kw_only=True)
class StageTimer:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, label: str) -> Iterator[None]:
        """Prints `label`, and records the duration of the block under `name`."""
        console.note(f"── {label}")
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)
        console.note(f"   {self.seconds[name]:.1f} s")


def run(root: Path, *, out: Path, data: Path | None, seed: int, last_screen: bool = True) -> dict[str, Any]:
    """Runs the demo for the commit checked out at `root`; returns the content of summary.json.

    Args:
        root: a Git repository of this project.
        out: emptied first; gets the summary, the model, the clone, the pages and the emulators' logs.
        data: a file of transactions; stand-in data drawn with `seed` if None.
        last_screen: whether the figures and the places of the results are printed at the end.

    Raises:
        FraudopsError: a command or a workflow run failed, or a prediction was not the model's.
    """
    from ml.playground import job_interpreter
    from ml.playground.emulators import Emulators

    place, clock = OutputFolder(out=out), StageTimer()
    check_repository(root)
    prepare_folder(out, root)
    with clock.stage("emulators", "start the AWS and GitHub emulators"):
        emulators = Emulators(place.cloud, images=root / "local-images.yaml").start()
    try:
        console.note(job_interpreter.describe(root / "local-images.yaml"))
        with isolated_environment(emulators.environment()):
            developer = Developer(emulators, root=root, place=place.repository, name=REPOSITORY)
            summary = _loop(developer, place, clock, data, seed)
            with clock.stage("site", "make the site"):
                site = demo_site.build(developer.root, place.site, place.pages / developer.full_name)
        emulators.github.export(place.pages, site.commits)
    finally:
        emulators.stop()
    place.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    if last_screen:
        _print_table(place, summary)
    return summary


def prepare_folder(out: Path, root: Path) -> None:
    """Makes `out` an empty folder; deletes only folders that a demo made."""
    if root.is_relative_to(out) or Path.cwd().is_relative_to(out):
        raise Refused(f"{out} contains the repository or the current folder; choose another --out")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARKER_FILE).is_file())):
        raise Refused(f"{out} contains files that no demo made; nothing was deleted. Choose another --out, or empty it")
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER_FILE).write_text("Made by `fraudops demo`, which empties this folder when it runs again.\n", "utf-8")


def _loop(developer: Developer, place: OutputFolder, clock: StageTimer, data: Path | None, seed: int) -> dict[str, Any]:
    from ml.aws import platform_stack, s3_objects

    with clock.stage("push", "push this repository; its workflows stop because there is no infrastructure yet"):
        developer.publish(variables={"FRAUDOPS_SUITE": "off"})
    with clock.stage("platform", "create the platform and a role for each workflow"):
        developer.bootstrap()
    bucket = platform_stack.read().bucket
    with clock.stage("data", "import transactions into the data lake"):
        landed = _import_transactions(developer.root, bucket, place, data, seed)
    with clock.stage("train", "train: a merged change of model-config/training/ starts train.yml"):
        shipped = config.load_model(developer.root)
        first = developer.propose({"seed": shipped.seed + 1}, "Change the seed of the resampling")
    with clock.stage("deploy", "merge the approval; deploy.yml and the Lambda deploy it"):
        developer.merge(first)
    served = developer.serving()
    place.model.write_bytes(s3_objects.read(served.artifact.uri))
    endpoint = config.load_serving(developer.root).endpoint
    with clock.stage("score", f"score {SCORED:,} transactions through boto3"):
        rows = latest_transactions(bucket, landed, SCORED)
        sent = check_scores(endpoint, place.model, rows, version=f"{served.approval:04d}")
    with clock.stage("capture", "read the captured traffic from S3"):
        seen = wait_for_capture(bucket, endpoint, sent)
    with clock.stage("challenger", "train a challenger by a second commit, merge and deploy it"):
        ratio = round(shipped.resampling.minority_ratio * 1.5, 6)
        second = developer.propose({"resampling.minority_ratio": ratio}, "Increase the synthetic frauds by half")
        developer.merge(second)
        _expect(developer.serving().approval != served.approval, "the challenger serves")
    with clock.stage("rollback", "roll the challenger back by a pull request"):
        developer.merge(developer.open_rollback())
        _expect(developer.serving() == served, "the serving pointer names the first approval again")
        check_scores(endpoint, place.model, rows[:10], version=f"{served.approval:04d}")
    return summarize(developer, clock, captured_rows=seen, capture=f"s3://{bucket}/capture/{endpoint}/")


def summarize(developer: Developer, clock: StageTimer, *, captured_rows: int, capture: str) -> dict[str, Any]:
    """The content of summary.json: the model that serves, its evaluation, pull requests, runs and durations."""
    served = developer.serving()
    evaluation = developer.evaluation(served)
    metrics = evaluation["metrics"]
    return {
        "recall": metrics["recall"]["value"],
        "recall_interval": [metrics["recall"]["low"], metrics["recall"]["high"]],
        "precision": metrics["precision"]["value"],
        "false_positive_rate": metrics["false_positive_rate"]["value"],
        "average_precision": metrics["average_precision"]["value"],
        "frauds_in_test": evaluation["positives"],
        "metrics": metrics,
        "model_package_arn": served.model_package_arn,
        "artifact_sha256": served.artifact.sha256,
        "approval": served.approval,
        "approval_commit": developer.commit_of(config.approval_path(served.approval)),
        "commit": served.commit,
        "endpoint": config.load_serving(developer.root).endpoint,
        "captured_rows": captured_rows,
        "capture": capture,
        "pull_requests": developer.pull_requests(),
        "runs": developer.runs(),
        "seconds": clock.seconds,
    }


def _import_transactions(root: Path, bucket: str, place: OutputFolder, data: Path | None, seed: int) -> str:
    from ml.aws.lake import Lake
    from ml.commands.data_import import import_data
    from ml.simulate import stand_in_data, table_files

    if data is None:
        data = place.out / "transactions.parquet"
        table_files.write(data, stand_in_data.draw(seed=seed))
    columns = config.load_columns(root)
    report = import_data(str(data), lake=Lake(bucket), columns=columns, start=None, quarantine=False)
    console.note(f"   {report.imported:,} rows, {report.frauds:,} frauds, {report.duplicates:,} duplicate rows kept")
    return report.name


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise DeploymentFailed(f"expected after the run: {what}; see the logs of the runs")


def _print_table(place: OutputFolder, summary: Mapping[str, Any]) -> None:
    metrics, working_folder = summary["metrics"], Path.cwd()

    def short(path: Path) -> str:
        return str(path.relative_to(working_folder)) if path.is_relative_to(working_folder) else str(path)

    stages = ", ".join(f"{name} {spent:.1f}" for name, spent in summary["seconds"].items())
    pulls = ", ".join(
        f"#{pull['number']} {pull['title']} ({pull['state']}, approved by {', '.join(pull['approved_by']) or 'nobody'})"
        for pull in summary["pull_requests"]
    )
    rows = [
        ("look first at", short(place.site / "index.html")),
        ("recall", render.figure(metrics["recall"])),
        ("precision", render.figure(metrics["precision"])),
        ("false-positive rate", render.figure(metrics["false_positive_rate"], percent=True)),
        ("average precision", render.figure(metrics["average_precision"])),
        ("model", f"{short(place.model)}, sha256 {summary['artifact_sha256']}"),
        ("package", summary["model_package_arn"]),
        ("approval", f"{summary['approval']:04d}, commit {summary['approval_commit']} in {short(place.repository)}"),
        ("endpoint", f"{summary['endpoint']} (stopped with this run)"),
        ("capture", f"{summary['captured_rows']:,} requests in {summary['capture']}"),
        ("pull requests", pulls),
        ("pages and logs", short(place.pages / "index.html")),
        ("summary", short(place.summary)),
        ("seconds", f"{stages}; {sum(summary['seconds'].values()):.1f} in all"),
    ]
    console.out.print(render.table(rows, title="From a commit to a served model, and back"))
