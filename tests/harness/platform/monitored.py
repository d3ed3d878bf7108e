"""Test harness for drift checks: a served model with synthetic traffic and labels, month by month.

Four inputs, a score that depends on V1 only, 5 % frauds. Options shift V2, flip labels, or omit labels or captures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from local_github.api.router import Call
from local_github.server import LocalGitHub

from ml import clock, config
from ml.aws.import_manifest import Source
from ml.aws.labels import join
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.model import artifact, document_fields, explanation
from ml.model.drift.reference import complete_reference, start_reference
from ml.model.run_kinds import ADAPT, FIT
from ml.model.scorer import Scorer
from tests.harness import drift_pictures
from tests.harness.aws import moto_server
from tests.harness.columns import ULB_TIME, ulb_columns
from tests.harness.git import repositories
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform import served
from tests.harness.platform.served import ENDPOINT, PROJECT, ServedPlatform

BUCKET = "lake"
COLUMNS = ulb_columns(("V1", "V2"))
ROWS_A_DAY, FRAUD_SHARE = 80, 0.05
HOURS = (6, 18)
MODEL: dict[str, Any] = {
    "schema": 3,
    "inputs": list(COLUMNS.inputs),
    "time": {"column": "Time", "unit": "seconds_since_start", "zone": "UTC"},
    "amount": "Amount",
    "parts": [
        {
            "pattern": "known",
            "features": [
                {"name": "V1", "transform": "identity", "limits": None, "mean": 0.0, "scale": 1.0, "coefficient": 2.0}
            ],
            "bins": [],
            "intercept": -4.8,
            "recalibration": None,
        }
    ],
    "history": {"slope": 1.0, "intercept": 0.0},
    "threshold": {"policy": "alert_budget", "value": 0.01, "score": 0.5},  # far below what it alerts
    "provenance": {"commit": "b" * 40, "config_sha256": "c" * 64, "data_sha256": "d" * 64},
}
WINDOWS = {
    part: {"start": f"2026-01-{first:02d}T00:00:00Z", "end": f"2026-01-{last:02d}T00:00:00Z"}
    for part, first, last in (("train", 1, 10), ("validation", 10, 15), ("test", 15, 31))
}
SCORER = Scorer.from_json(document_fields.canonical(MODEL))
ADAPTED_MODEL = MODEL | {
    "parts": [
        *MODEL["parts"],
        {
            "pattern": "new",
            "features": [],
            "bins": [{"input": "Amount", "kind": "value", "edges": [float(np.exp(3))], "coefficients": [-9.0, 1.0]}],
            "intercept": 0.0,
            "recalibration": None,
        },
    ]
}
"""A model with a second part, which alerts on the higher half of amounts."""
ADAPTED_SCORER = Scorer.from_json(document_fields.canonical(ADAPTED_MODEL))
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Rows:
    """Transactions of one request."""

    inputs: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]


def draw(rng: np.random.Generator, rows: int, *, shift: float = 0.0, flip: float = 0.0) -> Rows:
    """Rows whose V2 is shifted by `shift`; a share `flip` of the upper half by amount is relabelled as fraud."""
    truth = (rng.random(rows) < FRAUD_SHARE).astype(np.int8)
    inputs = np.column_stack(
        [
            rng.uniform(0, 86_400, rows),
            rng.normal(0, 1, rows) + 3.5 * truth,
            rng.normal(shift, 1, rows),
            rng.lognormal(3, 1, rows),
        ]
    )
    order = [COLUMNS.inputs.index(name) for name in COLUMNS.inputs]
    high = inputs[:, 3] > np.exp(3)
    truth[high & (rng.random(rows) < flip)] = 1
    return Rows(inputs=inputs[:, order], truth=truth)


def archive(
    *,
    intercept: float = -4.8,
    provenance: dict[str, str] | None = None,
    adapted: bool = False,
    alert_budget: float = 0.01,
) -> bytes:
    """A model archive with a drift reference of 8,000 rows; `adapted`: with a part for frauds among high amounts."""
    parts = [MODEL["parts"][0] | {"intercept": intercept}, *(ADAPTED_MODEL["parts"][1:] if adapted else [])]
    model = MODEL | {"parts": parts, "threshold": MODEL["threshold"] | {"value": alert_budget}}
    model |= {"provenance": provenance} if provenance else {}
    drawn = draw(np.random.default_rng(0), 8_000, flip=0.5 if adapted else 0.0)
    frame = pd.DataFrame(drawn.inputs, columns=list(COLUMNS.inputs))
    scorer = Scorer.from_json(document_fields.canonical(model))
    scores = scorer.score(drawn.inputs)
    times = np.datetime64("2026-02-01", "s") + frame[ULB_TIME.column].to_numpy().astype("timedelta64[s]")
    train, test = slice(0, 4_000), slice(4_000, None)
    reference = complete_reference(
        start_reference(COLUMNS, frame[train], drawn.truth[train], times=times[train]),
        COLUMNS,
        frame[test],
        drawn.truth[test],
        scores=scores[test],
        decisions=scorer.decide(scores[test]),
        times=times[test],
        follows_new=explanation.patterns(scorer.log_odds(drawn.inputs[test])) == "new",
        windows=WINDOWS,
        kind=ADAPT if adapted else FIT,
    )
    return artifact.pack(
        {
            "model.json": document_fields.canonical(model).encode(),
            "baseline.json": json.dumps(reference).encode(),
            **artifact.code_files(PROJECT),
        }
    )


@dataclass
class MonitoredEndpoint:
    """The environment of a drift check."""

    bot: BotEnvironment
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    seed: int = 1
    bucket: str = BUCKET
    trained: list[str] = field(default_factory=list)
    """The commits for which the GitHub API reports a run of train.yml."""

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.bot.root

    @property
    def summary(self) -> str:
        """The step summary."""
        path = self.folder / "summary.md"
        return path.read_text().replace("&#8203;", "").replace("\\", "") if path.exists() else ""

    def at(self, moment: str) -> None:
        """Sets the clock."""
        for name in ("FRAUDOPS_NOW", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
            self.monkeypatch.setenv(name, moment)

    def approve(self, number: int = 1, **options: Any) -> None:
        """Approves a model whose archive is in the bucket, and sets the serving pointer on main."""
        content = archive(**options)
        key = f"executions/{number}/artifact/model.tar.gz"
        client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
        record = repositories.record(
            number,
            artifact=config.Artifact(uri=f"s3://{self.bucket}/{key}", sha256=artifact.read(content).sha256),
            requests=options.get("requests", ()),
            created=clock.now(),
        )
        text = self.bot.workspace.text(config.SERVING)
        previous = number - 1 or "null"
        assert f"approval: {previous}" in text
        self.bot.workspace.write(
            {
                config.approval_path(number): config.dump(record),
                config.SERVING: text.replace(f"approval: {previous}", f"approval: {number}"),
            },
            f"Serve approval {number:04d}",
        )
        self.bot.push()

    def month(
        self,
        month: int,
        *,
        shift: float = 0.0,
        flip: float = 0.0,
        version: str = "0001",
        known_after: int | None = 10,
        scorer: Scorer = SCORER,
        captured: bool = True,
        landed: bool = True,
        without: tuple[int, ...] = (),
    ) -> None:
        """A month of 2026: transactions are imported, scored and captured; labels follow some days later.

        Args:
            known_after: days until a label is known; None for no labels.
            without: days of the month without captures.
        """
        rng = np.random.default_rng([self.seed, month])
        first = datetime(2026, month, 1, tzinfo=UTC)
        last = (first + 31 * _DAY).replace(day=1)
        ids, times, inputs, truth = [], [], [], []
        for day in range((last - first).days):
            for hour in HOURS:
                moment = first + day * _DAY + timedelta(hours=hour)
                hour_rows = draw(rng, ROWS_A_DAY // len(HOURS), shift=shift, flip=flip)
                name = f"{moment:%Y%m%d%H}"
                if captured and day + 1 not in without:
                    self._capture(name, moment, hour_rows, version, scorer)
                ids += [f"{name}#{row}" for row in range(len(hour_rows.truth))]
                times += [moment] * len(hour_rows.truth)
                inputs.append(hour_rows.inputs)
                truth.append(hour_rows.truth)
        every = np.concatenate(inputs)
        moments = pa.array(times, pa.timestamp("us", "UTC"))
        table = pa.table(
            {"event_id": pa.array(ids), "event_time": moments}
            | {name: pa.array(every[:, place]) for place, name in enumerate(COLUMNS.inputs)}
        )
        if landed:
            no_labels = pa.schema(_LABELS).empty_table()
            Lake(self.bucket).store(
                table,
                no_labels,
                source=Source(name="month.parquet", sha256="0" * 64, bytes=1),
                content_sha256=f"{self.seed:032x}{month:032x}",
                duplicates=0,
                quarantined=0,
            )
        if known_after is not None:
            known = pa.array([moment + known_after * _DAY for moment in times], pa.timestamp("us", "UTC"))
            labels = pa.array(np.concatenate(truth))
            join.deliver(self.bucket, pa.table([pa.array(ids), labels, known], schema=pa.schema(_LABELS)))

    def _capture(self, name: str, moment: datetime, rows: Rows, version: str, scorer: Scorer) -> None:
        scores = scorer.score(rows.inputs)
        decisions = scorer.decide(scores)
        answers = [
            f"{score!r},{decision},{version}"
            for score, decision in zip(scores.tolist(), decisions.tolist(), strict=True)
        ]
        sent = "\n".join(",".join(map(repr, row)) for row in rows.inputs.tolist())
        line = {
            "captureData": {
                "endpointInput": _part("INPUT", sent),
                "endpointOutput": _part("OUTPUT", "\n".join(answers)),
            },
            "eventMetadata": {"eventId": name, "inferenceId": name, "inferenceTime": clock.stamp(moment)},
            "eventVersion": "0",
        }
        key = f"capture/{ENDPOINT}/AllTraffic/{moment:%Y/%m/%d/%H}/{name}.jsonl"
        moto_server.store(self.bucket, key, json.dumps(line).encode() + b"\n")

    def requests(self) -> list[str]:
        """The requests on main."""
        self.bot.workspace.git("fetch", "-q", "origin")
        files = self.bot.workspace.repository.files("origin/main", config.REQUESTS)
        return [Path(name).stem for name in files if name.endswith(".yaml")]

    def request(self, name: str) -> config.RetrainRequest:
        """A request on main."""
        path = config.REQUESTS / f"{name}.yaml"
        content = self.bot.workspace.repository.show("origin/main", path)
        assert content is not None
        return config.parse(content.decode(), path, config.RetrainRequest)

    def read(self, key: str) -> Any:
        """A JSON object of the lake."""
        return json.loads(client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def keys(self, prefix: str) -> list[str]:
        """The keys under a prefix."""
        listed = client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in listed]


def with_four_inputs(text: str) -> str:
    """data.yaml with the features of this environment."""
    return config.set_values(text, config.DATA, {"features": ["V1", "V2"]})


def watched(server: LocalGitHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MonitoredEndpoint]:
    """A platform on moto, a repository on the GitHub emulator, and a champion."""
    drift_pictures.keep(monkeypatch)
    for name in ("FRAUDOPS_NOW", "GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, "2026-01-31T12:00:00Z")
    workspace = served.repository(folder / "repository")
    workspace.write({config.DATA: with_four_inputs(workspace.text(config.DATA))}, "Use four inputs")
    env: ServedPlatform = served.moto_platform(workspace)
    bot = bot_environment.around(env, server, folder, monkeypatch)
    endpoint = MonitoredEndpoint(bot=bot, monkeypatch=monkeypatch, folder=folder)

    def runs(call: Call) -> dict[str, Any]:
        call.need("actions", "read")
        return {"workflow_runs": [{"head_sha": sha} for sha in endpoint.trained]}

    server.router.register("GET", "/api/v3/repos/<owner>/<name>/actions/workflows/<workflow>/runs", runs)
    endpoint.approve()
    yield endpoint


def _part(mode: str, text: str) -> dict[str, str]:
    return {"observedContentType": "text/csv", "mode": mode, "data": text, "encoding": "CSV"}


_LABELS = [("event_id", pa.string()), ("label", pa.int8()), ("known_at", pa.timestamp("us", "UTC"))]
