"""Generates captured traffic of any size as a stream, for the capture benchmarks."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

INPUTS = ("Time", *(f"V{number}" for number in range(1, 29)), "Amount")
START = datetime(2026, 3, 1, tzinfo=UTC)
FORMS = {
    "CSV, a row a request": ("csv", 1, False),
    "CSV, 500 rows a request": ("csv", 500, False),
    "JSON, a row a request": ("json", 1, False),
    "JSON, 500 rows a request": ("json", 500, False),
    "CSV in base64, a row a request": ("csv", 1, True),
}


def lines(rows: int, *, kind: str, rows_per_request: int, encoded: bool, seed: int = 0) -> Iterator[bytes]:
    """Captured lines, each with `rows_per_request` rows of 30 inputs at full precision, one request a second."""
    generator = np.random.default_rng(seed)
    for place, first in enumerate(range(0, rows, rows_per_request)):
        count = min(rows_per_request, rows - first)
        values = generator.normal(size=(count, len(INPUTS)))
        values[:, 0], values[:, -1] = np.arange(first, first + count), np.round(np.exp(2 * values[:, -1]), 2)
        yield line(values, generator.random(count), place, kind=kind, encoded=encoded)


def line(values: np.ndarray, scores: np.ndarray, place: int, *, kind: str, encoded: bool) -> bytes:
    """One captured request, answered `place` seconds after START."""
    if kind == "csv":
        given = "\n".join(",".join(map(repr, row)) for row in values.tolist())
        answered = "".join(f"{score!r},{int(score >= 0.99)},0007\n" for score in scores.tolist())
        content = "text/csv"
    else:
        rows = [
            {"event_id": f"{place}-{n}"} | dict(zip(INPUTS, row, strict=True)) for n, row in enumerate(values.tolist())
        ]
        given = json.dumps({"instances": rows})
        predictions = [
            {"score": score, "decision": int(score >= 0.99), "model_version": "0007", "event_id": f"{place}-{n}"}
            for n, score in enumerate(scores.tolist())
        ]
        answered = json.dumps({"predictions": predictions}, separators=(",", ":"))
        content = "application/json"
    sides = {
        side: {
            "observedContentType": content,
            "mode": mode,
            "data": base64.b64encode(body.encode()).decode() if encoded else body,
            "encoding": "BASE64" if encoded else kind.upper(),
        }
        for side, mode, body in (("endpointInput", "INPUT", given), ("endpointOutput", "OUTPUT", answered))
    }
    moment = (START + timedelta(seconds=place % 86_400)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {
        "eventId": f"00000000-0000-4000-8000-{place:012d}",
        "inferenceId": f"r-{place}",
        "inferenceTime": moment,
    }
    document = {"captureData": sides, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(document, separators=(",", ":")).encode()
