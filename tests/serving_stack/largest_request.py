"""The largest request that the endpoint takes, and a model with the shipped inputs; not a test itself."""

from __future__ import annotations

import dataclasses

import numpy as np

from ml import config
from ml.model import artifact, document_fields, model_document
from ml.model.scoring_responses import CSV, JSON, JSONLINES, MAX_ROWS
from ml.playground.template_state import FOLDER as SHIPPED
from tests.steps.step_runs import ROOT

AMOUNT_BINS, HOUR_BINS = 90, 24


def archive() -> bytes:
    """model.tar.gz of a model with the shipped inputs, bins of amount and hour, and coefficients drawn at random."""
    columns = config.load_settings(SHIPPED).training.columns
    random = np.random.default_rng(5)
    numbers = [name for name in columns.inputs if name != columns.clock]
    features = [
        {
            "name": name,
            "transform": "log1p" if name == columns.amount else "identity",
            "limits": None,
            "mean": 0.0,
            "scale": 1.0,
            "coefficient": float(random.normal()),
        }
        for name in numbers
    ]
    bins = [
        {
            "input": column,
            "kind": kind,
            "edges": np.linspace(0.0, top, count + 1)[1:-1].tolist(),
            "coefficients": random.normal(size=count).tolist(),
        }
        for column, kind, top, count in (
            (columns.amount, "value", 2_000.0, AMOUNT_BINS),
            (columns.clock, "hour_of_day", 24.0, HOUR_BINS),
        )
    ]
    document = {
        "schema": model_document.SCHEMA,
        "inputs": list(columns.inputs),
        "time": dataclasses.asdict(columns.time) if columns.time is not None else None,
        "amount": columns.amount,
        "parts": [{"pattern": "known", "features": features, "bins": bins, "intercept": -3.0, "recalibration": None}],
        "history": {"slope": 1.0, "intercept": 0.0},
        "threshold": {"policy": "fixed", "value": 0.5, "score": 0.5},
        "provenance": {"commit": "c" * 40, "config_sha256": "c" * 64, "data_sha256": "d" * 64},
    }
    model = document_fields.canonical(document).encode()
    return artifact.pack({"model.json": model, "baseline.json": b"{}", **artifact.code_files(ROOT)})


def bodies() -> dict[str, bytes]:
    """MAX_ROWS rows of the model's inputs in each content type, with the digits that fit into the limit of a body."""
    columns = config.load_settings(SHIPPED).training.columns
    random = np.random.default_rng(6)
    values = random.normal(size=(MAX_ROWS, len(columns.inputs)))
    values[:, columns.inputs.index(columns.clock)] = np.arange(MAX_ROWS)
    values[:, columns.inputs.index(columns.amount)] = np.abs(values[:, columns.inputs.index(columns.amount)]) * 100
    lines = [",".join(f"{value:.3g}" for value in row) for row in values.tolist()]
    return {
        CSV: "\n".join(lines).encode(),
        JSON: f"[{','.join(f'[{line}]' for line in lines)}]".encode(),
        JSONLINES: "\n".join(f"[{line}]" for line in lines).encode(),
    }
