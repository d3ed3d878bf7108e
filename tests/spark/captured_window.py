"""A window of captured traffic of every kind, with labels of both channels, and its model; not a test itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from ml.aws import s3_objects
from ml.aws.capture import reader
from ml.aws.capture.summary_request import REQUEST, SummaryRequest
from ml.aws.labels import join, store
from ml.aws.session import client
from ml.config.settings_files import LabelLimits
from ml.drift.approved_model import Model
from ml.model import artifact
from ml.model.drift import detector
from ml.model.drift.sequential_fraud_rate_test import FraudRates
from tests.aws.capture import captured_lines
from tests.harness.git.repositories import record
from tests.harness.platform import monitored

ENDPOINT = "fraud"
START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 6
END = START + timedelta(days=DAYS)
NOW = END + timedelta(days=20)
LIMITS = LabelLimits(min_coverage=0.9, min_age_days=7, min_mature=0.9)
OWN, OTHER = "0001", "0002"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def model() -> Model:
    """The approved model of the window."""
    files = artifact.read(monitored.archive())
    return Model(
        record=record(1),
        reference=detector.Reference.of(files.baseline),
        amount="Amount",
        rates=FraudRates.of(files.baseline),
        scorer=files.model,
    )


@dataclass
class Traffic:
    """Writes captured objects and labels to a bucket.

    Args:
        rows: rows of each request.
        requests: requests of each object; a day has four objects.
    """

    bucket: str
    rows: int = 20
    requests: int = 4
    seed: int = 5

    def lay(self) -> int:
        """Writes the window, and returns its rows by the model and by another one."""
        rng = np.random.default_rng(self.seed)
        ids: list[str] = []
        truth: list[int] = []
        times: list[datetime] = []
        for day in range(DAYS):
            for place in range(4):
                moment = START + day * _DAY + (5 + 4 * place) * _HOUR
                lines = []
                for request in range(self.requests):
                    drawn = monitored.draw(rng, self.rows)
                    name = f"{moment:%m%d%H}-{request}"
                    other = place == 3 and request == 0
                    lines.append(self._line(name, moment, drawn.inputs, OTHER if other else OWN))
                    ids += [f"{name}#{row}" for row in range(self.rows)]
                    truth += drawn.truth.tolist()
                    times += [moment] * self.rows
                self._put("Canary" if place == 3 else "AllTraffic", moment, f"{place}", lines)
        self._put("AllTraffic", START + 7 * _HOUR, "odd", self._odd(rng))
        self._label(rng, ids, truth, times)
        return len(ids)

    def _line(self, name: str, moment: datetime, inputs: np.ndarray, version: str) -> bytes:
        scores = monitored.SCORER.score(inputs).tolist()
        answer = captured_lines.answer_csv(scores, version)
        given = captured_lines.csv_rows(inputs.tolist())
        return captured_lines.line((given, "text/csv"), (answer, "text/csv"), at=moment, inference_id=name)

    def _odd(self, rng: np.random.Generator) -> list[bytes]:
        """Unreadable lines, a smoke test, lines outside the window, answers alone, other columns, a repeated id."""
        inputs = monitored.draw(rng, 3).inputs
        rows = [dict(zip(monitored.COLUMNS.inputs, row, strict=True)) | {"new": 1.0} for row in inputs.tolist()]
        rows[0].pop("V1")
        answer = captured_lines.predictions([0.1, 0.6, 0.9], version=OWN)
        kind, at = "application/json", START + 7 * _HOUR
        body = json.dumps({"instances": rows})
        return [
            b"not a line",
            captured_lines.line((body, kind), (answer, kind), at=at, inference_id="named"),
            captured_lines.line(None, (answer, kind), at=at, inference_id="answered"),
            captured_lines.line((body, kind), (answer, kind), at=at, inference_id="smoke-1"),
            captured_lines.line((body, kind), (answer, kind), at=START - _HOUR, inference_id="early"),
            b'{"captureData": 1}',
            captured_lines.line((body, kind), (answer, kind), at=at, inference_id="030105-0"),
        ]

    def _put(self, variant: str, moment: datetime, name: str, lines: list[bytes]) -> None:
        key = f"capture/{ENDPOINT}/{variant}/{moment:%Y/%m/%d/%H}/{name}.jsonl"
        client("s3").put_object(Bucket=self.bucket, Key=key, Body=b"\n".join(lines) + b"\n")

    def _label(self, rng: np.random.Generator, ids: list[str], truth: list[int], times: list[datetime]) -> None:
        """Chargebacks of all days but the last, where few are known; corrections, and findings of analysts."""
        known = [place for place, moment in enumerate(times) if moment < END - _DAY or rng.random() < 0.3]
        self._deliver([(ids[place], truth[place], times[place] + 5 * _DAY) for place in known])
        changed = known[::17]
        self._deliver([(ids[place], 1 - truth[place], times[place] + 9 * _DAY) for place in changed])
        self._deliver([(ids[place], 1 - truth[place], NOW + _DAY) for place in known[::5]])
        found = known[::29]
        self._deliver([(ids[place], 1, times[place] + 2 * _DAY) for place in found], store.ANALYST)

    def _deliver(self, rows: list[tuple[str, int, datetime]], channel: str = store.CHARGEBACK) -> None:
        ids, labels, known = zip(*rows, strict=True)
        columns = [pa.array(ids), pa.array(labels, pa.int8()), pa.array(known, pa.timestamp("us", "UTC"))]
        channels = pa.array([channel] * len(rows), pa.string())
        store.deliver(self.bucket, pa.table([*columns, channels], schema=store.DELIVERED_SCHEMA))


def requested(bucket: str) -> SummaryRequest:
    """What a job counts of the window."""
    return SummaryRequest(
        bucket=bucket,
        start=START,
        end=END,
        as_of=NOW,
        min_coverage=LIMITS.min_coverage,
        min_age_days=LIMITS.min_age_days,
        model=model().counted,
        objects=tuple(reader.list_objects(bucket, ENDPOINT, START, END)),
        labels=tuple(join.label_keys(bucket, START)),
        instances=2,
    )


def laid(request: SummaryRequest, base: Path) -> list[str]:
    """Writes the job's inputs as SageMaker does, and returns the arguments of the step."""
    for name, keys in (("capture", [item.key for item in request.objects]), ("labels", request.labels)):
        for key in keys:
            file = base / name / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(s3_objects.read(f"s3://{request.bucket}/{key}"))
    text = request.to_json().encode()
    (base / "request").mkdir()
    (base / "request" / REQUEST).write_bytes(text)
    return ["--base-dir", str(base), "--request-sha256", hashlib.sha256(text).hexdigest()]
