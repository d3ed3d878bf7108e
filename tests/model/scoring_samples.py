"""A small model document, its archive, and rows for it, for tests of scoring and serving."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.model import artifact, document_fields
from ml.model.scorer import Scorer

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT: dict[str, Any] = {
    "schema": 3,
    "inputs": ["Time", "V1", "V2", "Amount"],
    "time": {"column": "Time", "unit": "seconds_since_start", "zone": "UTC"},
    "amount": "Amount",
    "parts": [
        {
            "pattern": "known",
            "features": [
                {"name": "V1", "transform": "identity", "limits": None, "mean": 0.5, "scale": 2.0, "coefficient": 1.5},
                {
                    "name": "V2",
                    "transform": "identity",
                    "limits": None,
                    "mean": -1.0,
                    "scale": 0.5,
                    "coefficient": -0.75,
                },
                {
                    "name": "Amount",
                    "transform": "log1p",
                    "limits": None,
                    "mean": 3.0,
                    "scale": 1.25,
                    "coefficient": 0.4,
                },
            ],
            "bins": [
                {"input": "Amount", "kind": "value", "edges": [5.0, 50.0], "coefficients": [0.1, -0.2, 0.6]},
                {"input": "Time", "kind": "hour_of_day", "edges": [8.0, 16.0], "coefficients": [0.3, 0.0, -0.3]},
            ],
            "intercept": -1.0,
            "recalibration": None,
        }
    ],
    "history": {"slope": 0.9, "intercept": -0.5},
    "threshold": {"policy": "max_recall_at_fpr", "value": 0.01, "score": 0.5},
    "provenance": None,
}
INPUTS = tuple(DOCUMENT["inputs"])
CATEGORIES: dict[str, Any] = DOCUMENT | {
    "schema": 4,
    "inputs": [*DOCUMENT["inputs"], "shop"],
    "categories": ["shop"],
    "parts": [
        DOCUMENT["parts"][0]
        | {"levels": [{"input": "shop", "levels": ["", "food"], "coefficients": [0.25, -0.5], "other": 0.75}]},
        DOCUMENT["parts"][0]
        | {
            "pattern": "new",
            "levels": [{"input": "shop", "levels": ["crypto", "food"], "coefficients": [3.0, -1.0], "other": 0.125}],
        },
    ],
}
"""Two parts with other levels of the same category."""
ADAPTED: dict[str, Any] = DOCUMENT | {
    "parts": [
        DOCUMENT["parts"][0] | {"recalibration": {"slope": 0.8, "intercept": -0.6}},
        {
            "pattern": "new",
            "features": [
                {
                    "name": "V2",
                    "transform": "identity",
                    "limits": [-4.0, 4.0],
                    "mean": 0.1,
                    "scale": 1.5,
                    "coefficient": 0.7,
                },
                {
                    "name": "Amount",
                    "transform": "log1p",
                    "limits": [0.0, 900.0],
                    "mean": 2.0,
                    "scale": 1.5,
                    "coefficient": 0.3,
                },
            ],
            "bins": [
                {
                    "input": "Amount",
                    "kind": "value",
                    "edges": [20.0, 80.0, 320.0],
                    "coefficients": [0.0, 0.5, -0.5, 3.0],
                },
                {"input": "V1", "kind": "value", "edges": [-1.5, 1.5], "coefficients": [2.0, 0.0, 1.0]},
            ],
            "intercept": -2.0,
            "recalibration": None,
        },
    ]
}
"""DOCUMENT adapted: its part for known patterns is recalibrated, and there is a part for new ones."""


def scorer(model: dict[str, Any] = DOCUMENT) -> Scorer:
    """The scorer of a document."""
    return Scorer.from_json(json.dumps(model))


def changed(path: str, value: Any, document: dict[str, Any] = DOCUMENT) -> dict[str, Any]:
    """`document` with the value at a dotted path replaced, `...` removing it."""
    made = copy.deepcopy(document)
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    target: Any = made
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return made


def files(model: dict[str, Any] = DOCUMENT) -> dict[str, bytes]:
    """The members of an archive with the project's own inference code."""
    return {
        "model.json": document_fields.canonical(model).encode(),
        "baseline.json": b'{"schema":1}',
        **artifact.code_files(ROOT),
    }


def archive(model: dict[str, Any] = DOCUMENT) -> bytes:
    """A whole model archive."""
    return artifact.pack(files(model))


def unpack(folder: Path, members: dict[str, bytes]) -> Path:
    """Writes `members` below `folder`, in the layout of /opt/ml/model."""
    for name, content in members.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def rows(count: int, seed: int = 0) -> NDArray[np.float64]:
    """`count` plausible rows for DOCUMENT."""
    random = np.random.default_rng(seed)
    return np.column_stack(
        [
            random.uniform(0, 172_800, count),
            random.normal(size=count),
            random.normal(size=count),
            random.lognormal(3, 1.5, count),
        ]
    )
