"""Files in Model Monitor's formats: documented fields, and a sketch with as many items as rows."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ml.aws import model_monitor_export
from ml.aws.model_monitor_export import Category, Column


def column(counts: list[int], *, low: float = -3.0, high: float = 3.0, missing: int = 0) -> Column:
    """A column on evenly spaced edges."""
    edges = np.linspace(-2, 2, len(counts) - 1).tolist()
    some = sum(counts) > 0
    return Column(
        name="V1",
        n=sum(counts),
        missing=missing,
        mean=0.25,
        std=1.5,
        low=low if some else None,
        high=high if some else None,
        edges=edges,
        counts=counts,
    )


def test_statistics_have_the_documented_fields() -> None:
    """Item count, presence, moments, buckets and a sketch of each feature."""
    found = model_monitor_export.statistics(11, [column([2, 3, 5], missing=1)])
    assert (found["version"], found["dataset"]) == (0.0, {"item_count": 11})
    (feature,) = found["features"]
    assert (feature["name"], feature["inferred_type"]) == ("V1", "Fractional")
    numbers = feature["numerical_statistics"]
    assert numbers["common"] == {"num_present": 10, "num_missing": 1}
    assert {key: numbers[key] for key in ("mean", "sum", "std_dev", "min", "max")} == {
        "mean": 0.25,
        "sum": 2.5,
        "std_dev": 1.5,
        "min": -3.0,
        "max": 3.0,
    }
    kll = numbers["distribution"]["kll"]
    assert kll["buckets"][0] == {"lower_bound": -3.0, "upper_bound": -2.0, "count": 2.0}
    assert set(kll["sketch"]) == {"parameters", "data"}
    json.dumps(found, allow_nan=False)


def test_category_is_a_string_column() -> None:
    """Values with their counts in the statistics, the domain in the constraints; a value without rows is no bucket."""
    shop = Category(name="shop", missing=2, counts={"food": 5, "fuel": 0, "": 3})
    (feature,) = model_monitor_export.statistics(10, [shop])["features"]
    assert feature == {
        "name": "shop",
        "inferred_type": "String",
        "string_statistics": {
            "common": {"num_present": 8, "num_missing": 2},
            "distinct_count": 2,
            "distribution": {"categorical": {"buckets": [{"value": "food", "count": 5}, {"value": "", "count": 3}]}},
        },
    }
    (limits,) = model_monitor_export.constraints([shop], max_missing=0.01, max_distance=0.1)["features"]
    assert limits == {
        "name": "shop",
        "inferred_type": "String",
        "string_constraints": {"domains": ["food", "fuel", ""]},
        "completeness": 0.79,
    }


@given(st.lists(st.integers(0, 100_000), min_size=2, max_size=12))
def test_sketch_weight_equals_the_row_count(counts: list[int]) -> None:
    """An item of level h stands for 2**h rows; each bin's items are in it, and their number is limited."""
    kll = model_monitor_export.statistics(sum(counts), [column(counts)])["features"][0]["numerical_statistics"][
        "distribution"
    ]["kll"]
    data = kll["sketch"]["data"]
    assert sum(len(items) << level for level, items in enumerate(data)) == sum(counts)
    assert sum(map(len, data)) <= 2_048 + 20 * len(counts)
    assert sum(bucket["count"] for bucket in kll["buckets"]) == sum(counts)
    for bucket, count in zip(kll["buckets"], counts, strict=False):
        inside = sum(
            1 << level
            for level, items in enumerate(data)
            for item in items
            if bucket["lower_bound"] < item < bucket["upper_bound"]
        )
        assert inside == count


def test_constraints_have_the_limits_of_the_drift_check() -> None:
    """Completeness with the allowed missing share, sign, and the distance as comparison threshold."""
    found = model_monitor_export.constraints(
        [column([5, 5], missing=10), column([1, 1], low=0.0)], max_missing=0.01, max_distance=0.05
    )
    first, second = found["features"]
    assert (first["completeness"], first["num_constraints"]) == (0.49, {"is_non_negative": False})
    assert second["num_constraints"] == {"is_non_negative": True}
    assert found["monitoring_config"]["distribution_constraints"]["comparison_threshold"] == 0.05
    assert found["monitoring_config"]["evaluate_constraints"] == "Enabled"


def test_violations_have_model_monitors_names() -> None:
    """Each finding has Model Monitor's check type and a description."""
    found = model_monitor_export.violations(
        [("V1", "drift", "ks 0.2"), ("V2", "missing", "all of it"), ("X", "unexpected_field", "")]
    )
    kinds = [each["constraint_check_type"] for each in found["violations"]]
    assert kinds == ["baseline_drift_check", "completeness_check", "extra_column_check"]
    assert set(found["violations"][0]) == {"feature_name", "constraint_check_type", "description"}
