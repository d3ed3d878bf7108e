"""Labels by a rule that is written down for each event; the step's tests show what it does with them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.steps import label_files
from tests.harness.fuzzing import examples
from tests.steps.step_runs import START, TIMES

pytestmark = pytest.mark.container
LABEL = st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 3), st.sampled_from(["analyst", "chargeback"]))


def by_rule(labels: list[tuple[int, int, int, str]]) -> dict[str, int]:
    """The label of each event: the last of a channel, fraud of two at one time, fraud in either channel."""
    last: dict[tuple[str, str], tuple[int, int]] = {}
    for event, label, day, channel in labels:
        key = (f"e{event}", channel)
        last[key] = max(last.get(key, (-1, -1)), (day, label))
    return {
        event: max(label, last.get((event, "analyst"), (0, 0))[1])
        for (event, channel), (_, label) in last.items()
        if channel == "chargeback"
    }


@settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(LABEL, min_size=1, max_size=25), cut=st.integers(0, 25))
def test_labels_follow_the_rule(tmp_path: Path, labels: list[tuple[int, int, int, str]], cut: int) -> None:
    """Whatever the files and the order."""
    for name, part in (("a", labels[:cut]), ("b", labels[cut:])):
        path = tmp_path / "labels" / name / "labels.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table(
            {
                "event_id": pa.array([f"e{event}" for event, *_ in part], pa.string()),
                "label": pa.array([label for _, label, *_ in part], pa.int8()),
                "known_at": pa.array([START + timedelta(days=day) for *_, day, _ in part], TIMES),
                "channel": pa.array([channel for *_, channel in part], pa.string()),
            }
        )
        pq.write_table(table, path)
    found = label_files.read(tmp_path)
    assert len(found) == len({*found["event_id"].to_pylist()})
    assert dict(zip(found["event_id"].to_pylist(), found["label"].to_pylist(), strict=True)) == by_rule(labels)
