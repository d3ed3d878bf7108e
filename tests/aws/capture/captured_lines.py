"""Captured traffic in SageMaker's format, for the tests of its readers; not a test itself."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

INPUTS = ("Time", "V1", "V2", "Amount")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Rows = Sequence[Sequence[float]]


def stamp(moment: datetime) -> str:
    """A time in the format of `inferenceTime`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def part(mode: str, body: str, content_type: str, *, plain: bool = True) -> dict[str, str]:
    """One side of a captured request, as base64 unless `plain`."""
    encoding = "CSV" if "csv" in content_type else "JSON"
    data = body if plain else base64.b64encode(body.encode()).decode()
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": data,
        "encoding": encoding if plain else "BASE64",
    }


def line(
    given: tuple[str, str] | None,
    answered: tuple[str, str] | None,
    *,
    at: datetime = NOON,
    inference_id: str | None = "r-1",
    plain: bool = True,
) -> bytes:
    """One captured request from (body, content type) of its two sides."""
    data: dict[str, Any] = {}
    if given is not None:
        data["endpointInput"] = part("INPUT", *given, plain=plain)
    if answered is not None:
        data["endpointOutput"] = part("OUTPUT", *answered, plain=plain)
    metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": stamp(at)}
    if inference_id is not None:
        metadata["inferenceId"] = inference_id
    document = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(document, separators=(",", ":")).encode()


def csv_rows(rows: Rows, header: Sequence[str] | None = None, ids: Sequence[str] | None = None) -> str:
    """Rows as CSV; `ids` are a last column, which `header` then names."""
    lines = [",".join(header)] if header else []
    for place, row in enumerate(rows):
        lines.append(",".join([*map(repr, row), *([ids[place]] if ids else [])]))
    return "\n".join(lines)


def named(rows: Rows, ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows as objects by column name."""
    found: list[dict[str, Any]] = [dict(zip(INPUTS, row, strict=True)) for row in rows]
    for place, event_id in enumerate(ids or []):
        found[place] = {"event_id": event_id} | found[place]
    return found


def predictions(scores: Sequence[float], ids: Sequence[str] | None = None, version: str = "0007") -> str:
    """A JSON answer in the format of our endpoints."""
    rows: list[dict[str, Any]] = [
        {"score": score, "decision": int(score >= 0.5), "model_version": version} for score in scores
    ]
    for row, event_id in zip(rows, ids or [], strict=False):
        row["event_id"] = event_id
    return json.dumps({"predictions": rows}, separators=(",", ":"))


def answer_csv(scores: Sequence[float], version: str = "0007") -> str:
    """A CSV answer in the format of our endpoints."""
    return "".join(f"{score!r},{int(score >= 0.5)},{version}\n" for score in scores)
