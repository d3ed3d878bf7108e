"""`fraudops demo`, which is `FAST=1 make demo`: from a commit to a served model and back, with nothing left running.

It does what people do — commit, push, merge, ask — and lets the workflow files do the rest, the same files that run on
GitHub. It is started from a repository that it clones and never changes; everything it makes is below one folder.
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
from ml.playground.developer import Forge, environment, suited
from ml.playground.endpoint_probe import captured, latest, score

SCORED = 1_000
REPOSITORY = "fraudops"
MARK = ".made-by-demo"
"""A folder that holds this file is the demo's, to be emptied by the next."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the demo puts what it makes."""

    out: Path

    @property
    def cloud(self) -> Path:
        """State, logs and job folders of both local clouds."""
        return self.out / "cloud"

    @property
    def repository(self) -> Path:
        """The clone that the demo works in as a person would."""
        return self.out / "repository"

    @property
    def pages(self) -> Path:
        """Pull requests, runs and logs as pages."""
        return self.out / "github"

    @property
    def model(self) -> Path:
        """The archive of the model that serves at the end."""
        return self.out / "model.tar.gz"

    @property
    def summary(self) -> Path:
        """The figures of the table, for machines."""
        return self.out / "summary.json"


@dataclass(kw_only=True)
class Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, label: str) -> Iterator[None]:
        """Says what goes on, and keeps how long it took under `name`."""
        console.note(f"── {label}")
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)
        console.note(f"   {self.seconds[name]:.1f} s")


def run(root: Path, *, out: Path, data: Path | None, seed: int) -> dict[str, Any]:
    """Runs the demo for the commit checked out at `root` and returns what build/demo/summary.json then holds.

    Args:
        root: a Git repository of this project.
        out: emptied first; the summary, the model, the clone, the pages and the clouds' logs are below it.
        data: a file of real transactions; a stand-in is drawn with `seed` if None.

    Raises:
        FraudopsError: a verb failed, a workflow's run did not end as it should, or an answer was not the model's.
    """
    from ml.playground.environment import LocalClouds

    place, clock = Place(out=out), Clock()
    suited(root)
    empty(out, root)
    with clock.stage("clouds", "AWS and GitHub come up on this machine"):
        clouds = LocalClouds(place.cloud).start()
    try:
        with environment(clouds.environment()):
            forge = Forge(clouds, root=root, place=place.repository, name=REPOSITORY)
            summary = _loop(forge, place, clock, data, seed)
        clouds.github.export(place.pages)
    finally:
        clouds.stop()
    place.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _show(place, summary)
    return summary


def empty(out: Path, root: Path) -> None:
    """Makes `out` an empty folder of the demo's own; only what a demo made is ever deleted."""
    if root.is_relative_to(out) or Path.cwd().is_relative_to(out):
        raise Refused(f"{out} holds the repository or the current folder; choose another --out")
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARK).is_file())):
        raise Refused(
            f"{out} holds something that no demo made; nothing was deleted. Choose another --out, or empty it"
        )
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).write_text("Made by `fraudops demo`, which empties this folder when it is run again.\n", "utf-8")


def _loop(forge: Forge, place: Place, clock: Clock, data: Path | None, seed: int) -> dict[str, Any]:
    from ml.aws import platform, s3_objects

    with clock.stage("push", "this repository is pushed; without infrastructure its workflows say so and stop"):
        forge.publish(variables={"FRAUDOPS_SUITE": "off"})
    with clock.stage("platform", "the platform and a role for each workflow are made"):
        forge.bootstrap()
    bucket = platform.read().bucket
    with clock.stage("data", "transactions land in the lake"):
        landed = _land(forge.root, bucket, place, data, seed)
    with clock.stage("train", "a commit to model-config/training/ fires train.yml"):
        first = forge.propose("seed: 20", "seed: 21", "Draw the resampling anew")
    with clock.stage("deploy", "the approval is merged, and deploy.yml lets the Lambda deploy it"):
        forge.merge(first)
    served = forge.serving()
    place.model.write_bytes(s3_objects.read(served.artifact.uri))
    endpoint = config.load_serving(forge.root).endpoint
    with clock.stage("score", f"{SCORED:,} transactions are scored through boto3"):
        rows = latest(bucket, landed, SCORED)
        sent = score(endpoint, place.model, rows, version=f"{served.approval:04d}")
    with clock.stage("capture", "the captured traffic is read back from S3"):
        seen = captured(bucket, endpoint, sent)
    with clock.stage("challenger", "a second commit trains a challenger, which is merged and deployed"):
        second = forge.propose("minority_ratio: 0.02", "minority_ratio: 0.03", "Let SMOTE make half as many again")
        forge.merge(second)
        _expect(forge.serving().approval != served.approval, "the challenger serves")
    with clock.stage("rollback", "the challenger is rolled back by a pull request"):
        forge.merge(forge.roll_back())
        _expect(forge.serving() == served, "the former approval is pointed at again")
        score(endpoint, place.model, rows[:10], version=f"{served.approval:04d}")
    return outcome(forge, clock, captured_rows=seen, capture=f"s3://{bucket}/capture/{endpoint}/")


def outcome(forge: Forge, clock: Clock, *, captured_rows: int, capture: str) -> dict[str, Any]:
    """What serves at the end, by which record, and what it took: the content of summary.json."""
    served = forge.serving()
    evaluation = forge.evaluation(served)
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
        "approval_commit": forge.commit_of(config.approval_path(served.approval)),
        "commit": served.commit,
        "endpoint": config.load_serving(forge.root).endpoint,
        "captured_rows": captured_rows,
        "capture": capture,
        "pull_requests": forge.pull_requests(),
        "runs": forge.runs(),
        "seconds": clock.seconds,
    }


def _land(root: Path, bucket: str, place: Place, data: Path | None, seed: int) -> str:
    from ml.aws.lake import Lake
    from ml.commands.data_import import import_data
    from ml.simulate import stand_in_data, table_files

    if data is None:
        data = place.out / "transactions.parquet"
        table_files.write(data, stand_in_data.draw(seed=seed))
    columns = config.load_settings(root).training.columns
    report = import_data(str(data), lake=Lake(bucket), columns=columns, start=None, quarantine=False)
    console.note(f"   {report.landed:,} rows, {report.frauds:,} frauds, {report.duplicates:,} duplicated rows kept")
    return report.name


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise DeploymentFailed(f"not so after the run: {what}; see the runs' logs")


def _show(place: Place, summary: Mapping[str, Any]) -> None:
    metrics, here = summary["metrics"], Path.cwd()

    def short(path: Path) -> str:
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    stages = ", ".join(f"{name} {spent:.1f}" for name, spent in summary["seconds"].items())
    pulls = ", ".join(f"#{pull['number']} {pull['title']} ({pull['state']})" for pull in summary["pull_requests"])
    rows = [
        ("recall", render.figure(metrics["recall"])),
        ("precision", render.figure(metrics["precision"])),
        ("false-positive rate", render.figure(metrics["false_positive_rate"], percent=True)),
        ("average precision", render.figure(metrics["average_precision"])),
        ("model", f"{short(place.model)}, sha256 {summary['artifact_sha256']}"),
        ("package", summary["model_package_arn"]),
        ("approval", f"{summary['approval']:04d}, commit {summary['approval_commit']} in {short(place.repository)}"),
        ("endpoint", f"{summary['endpoint']} (was up for this run)"),
        ("capture", f"{summary['captured_rows']:,} requests in {summary['capture']}"),
        ("pull requests", pulls),
        ("pages and logs", short(place.pages / "index.html")),
        ("summary", short(place.summary)),
        ("seconds", f"{stages}; {sum(summary['seconds'].values()):.1f} in all"),
    ]
    console.out.print(render.table(rows, title="From a commit to a served model, and back"))
