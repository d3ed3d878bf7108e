"""The state of a repository that has been used for months: other settings, records and code owners; not a test itself.

Every value differs from the shipped one where a test could depend on it. `fraudops validate` accepts the state.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml import config
from ml.gitops import code_owners
from ml.ingest.event_times import DEFAULT_START
from ml.playground import template_state
from tests.harness.git import checkout
from tests.harness.git.repositories import record

OWNER, REPOSITORY = "bank", "bank/card-risk"
REGION, STACK, ENDPOINT = "eu-central-1", "card-risk", "card-risk-live"
COLUMNS = {
    "Class": "is_fraud",
    "Time": "epoch_seconds",
    "Amount": "txn_amount",
    **{f"V{number}": f"feat_{number:02d}" for number in range(1, 29)},
}
"""The adopter's names of the stand-in's columns."""
CATEGORY, VALUES = "merchant_category", ("grocery", "travel", "fuel", "online", "cash")
LABELS = """labels:
  event_id: Buchung
  label: Betrug?
  known_at: {column: gemeldet am, unit: epoch_seconds, zone: UTC}
  channel: {column: Quelle, values: {Fachabteilung: analyst, Bank: chargeback}, default: chargeback}
"""
"""The end of data.yaml: the columns of label files."""
SETTINGS: dict[Path, dict[str, Any]] = {
    config.GATE: {"min_recall": 0.55, "max_false_positive_rate": 0.02, "decides": "point", "min_positives": 12},
    config.MODEL: {
        "seed": 7,
        "alert_budget": 0.02,
        "resampling.minority_ratio": 0.05,
    },
    config.DATA: {
        "label": COLUMNS["Class"],
        "time": {"column": COLUMNS["Time"], "unit": "epoch_seconds", "zone": "UTC"},
        "amount": COLUMNS["Amount"],
        "features": [COLUMNS[f"V{number}"] for number in range(1, 29)],
        "categories": [CATEGORY],
    },
    config.SERVING: {"endpoint": ENDPOINT, "capture.sampling_percentage": 100},
    config.DRIFT: {"min_rows": 500, "max_requests_per_month": 3, "cooldown_days.concept": 7},
}
"""Other values of each settings file, by key."""
RESOLVED, FAILED = "20260301T060000Z-data-drift", "20260401T060000Z-concept-drift"
"""The retrain requests that the second approval and the gate failure resolve."""


def set_settings(root: Path) -> None:
    """Writes the adopter's settings and code owners over the shipped state of the checkout at `root`."""
    for path, values in SETTINGS.items():
        checkout.set_values(root, path, values)
    with (root / config.DATA).open("a", encoding="utf-8") as file:
        file.write(LABELS)
    (root / code_owners.FILE).parent.mkdir(parents=True, exist_ok=True)
    (root / code_owners.FILE).write_text(code_owners.text(f"@{OWNER}/model-risk"), encoding="utf-8")


def transactions(table: pa.Table) -> pa.Table:
    """The stand-in's rows as the adopter has them: other names, times since 1970, and a text column."""
    table = table.rename_columns([COLUMNS.get(name, name) for name in table.column_names])
    start = datetime.combine(DEFAULT_START, time(), UTC).timestamp()
    clock = table.column_names.index(COLUMNS["Time"])
    table = table.set_column(clock, COLUMNS["Time"], pc.add(table.column(clock), start))
    chosen = np.random.default_rng(1).choice(VALUES, table.num_rows)
    return table.append_column(CATEGORY, pa.array(chosen.tolist()))


def write(root: Path) -> None:
    """Writes the whole state into the checkout at `root`: settings, two approvals, requests and a gate failure."""
    template_state.restore(root)
    set_settings(root)
    checkout.set_values(root, config.SERVING, {"approval": 2})
    window = config.Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=None)
    documents: dict[Path, config.File] = {
        config.approval_path(number): record(number, requests=requests)
        for number, requests in ((1, ()), (2, (RESOLVED,)))
    }
    for name in (RESOLVED, FAILED):
        cause = name.partition("Z-")[2]
        documents[config.REQUESTS / f"{name}.yaml"] = config.RetrainRequest(
            kind="fit", cause=cause, reason="V3 moved", window=window, evidence={"ks": 0.12}
        )
    moment, commit = datetime(2026, 4, 1, 7, tzinfo=UTC), "0123456789ab" + "c" * 28
    documents[config.gate_failure_path(moment, commit)] = config.GateFailureRecord(
        kind="fit",
        commit=commit,
        requests=(FAILED,),
        execution_arn=f"arn:aws:sagemaker:{REGION}:123456789012:pipeline/{STACK}-training/execution/abcdef123456",
        evaluation_uri="s3://lake/executions/abcdef123456/evaluate/evaluation/evaluation.json",
        verdict=config.Verdict(status="failed", reason="Recall 0.51 < 0.55 on 40 frauds."),
        created=moment,
    )
    for path, document in documents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(config.dump(document), encoding="utf-8")
