"""Scenario files: strict parsing, and the values of the default scenario."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ml.errors import ConfigError
from ml.simulate import scenario
from ml.simulate.scenario import ConceptDrift, Course, Scenario
from ml.simulate.stand_in_data import StandIn


def written(folder: Path, **changes: object) -> str:
    """The path of a copy of the default scenario with changed fields; None removes a field."""
    document = yaml.safe_load((scenario.FOLDER / f"{scenario.DEFAULT}.yaml").read_text()) | changes
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in document.items() if value is not None}))
    return str(path)


def factors(**course: object) -> list[float]:
    """A course's factors over twelve months."""
    return [Course.model_validate(course).at(month) for month in range(1, 13)]


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_of_the_project_is_valid(name: str) -> None:
    """Each file below scenarios/ is valid and has a description."""
    found = scenario.load(name)
    assert len(found.about) > 60
    assert found.history.rows == 284_807


def test_project_has_the_documented_scenarios() -> None:
    """None, data only, concept only, both, sudden, gradual, recurring, seasonal, delay, outage, unlearnable, region."""
    assert set(scenario.names()) == {
        *("none", "data-only", "concept-only", "both", "sudden", "gradual", "recurring"),
        *("seasonal-volume", "label-delay", "capture-outage", "unlearnable", "region"),
    }


def test_year_needs_a_label_channel() -> None:
    """Without chargebacks, analysts must label alerts."""
    document = scenario.load("both").model_dump()
    with pytest.raises(ValueError, match="must have analysts if chargebacks is false"):
        scenario.Scenario.model_validate(document | {"labels": document["labels"] | {"chargebacks": False}})


def test_default_drifts_in_month_four_and_flips_labels_in_month_seven() -> None:
    """Means of all features move by 0.05 sd a month from month 4; half of the top 1 % is fraud from month 7."""
    default = scenario.load(scenario.DEFAULT)
    (data,), (concept,) = default.data_drift, default.concept_drift
    assert [round(data.size * data.course.at(month), 2) for month in (3, 4, 5, 12)] == [0.0, 0.05, 0.1, 0.45]
    features = data.names(StandIn.load().movable)
    assert len(features) == 28 and "Amount" not in features
    assert [concept.course.at(month) for month in (6, 7, 12)] == [0, 1, 1]
    assert (concept.top_share, concept.flipped_share, default.onset) == (0.01, 0.5, 4)


def test_unlearnable_scenario_flips_1_percent_of_the_top_20() -> None:
    """1 % of the top 20 % by amount become fraud: most frauds are among rows that look alike."""
    (concept,) = scenario.load("unlearnable").concept_drift
    assert (concept.top_share, concept.flipped_share) == (0.2, 0.01)


def concept(**region: object) -> ConceptDrift:
    """A concept drift from month 7 with these fields."""
    return ConceptDrift.model_validate({"course": {"kind": "sudden", "from_month": 7}, "flipped_share": 0.5, **region})


def test_interval_contains_its_lower_limit_only() -> None:
    """A region's interval includes `at_least` and excludes `below`; a side that is left out has no limit."""
    assert concept(top_share=0.01).region is None
    (both, high) = concept(
        region=[{"feature": "V4", "at_least": 1.0, "below": 2.0}, {"feature": "V14", "at_least": -3.0}]
    ).region or (None, None)
    assert both is not None and both.contains([0.9, 1.0, 1.9, 2.0]).tolist() == [False, True, True, False]
    assert high is not None and high.contains([-3.1, -3.0, 1e9]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "must have either top_share or region"),
        ({"top_share": 0.1, "region": [{"feature": "V4", "below": 1.0}]}, "must have either top_share or region"),
        ({"region": [{"feature": "V4"}]}, "must have at_least, below or both for V4"),
        ({"region": [{"feature": "V4", "at_least": 2.0, "below": 1.0}]}, "at_least less than below (got 2 and 1)"),
    ],
)
def test_invalid_region_is_refused(fields: dict[str, object], message: str) -> None:
    """A region is either a share of amounts or intervals of features, and each interval has a limit."""
    with pytest.raises(ValueError, match=re.escape(message)):
        concept(**fields)


def test_courses_have_the_shapes_of_their_names() -> None:
    """Growing increases, gradual rises to one, recurring alternates, and `until_month` is the last month of any."""
    assert factors(kind="sudden", from_month=4) == [0] * 3 + [1] * 9
    assert factors(kind="growing", from_month=10) == [0] * 9 + [1, 2, 3]
    assert factors(kind="gradual", from_month=5, over_months=4) == [0] * 4 + [0.25, 0.5, 0.75] + [1] * 5
    assert factors(kind="recurring", from_month=4, over_months=3) == [0] * 3 + [1] * 3 + [0] * 3 + [1] * 3
    assert factors(kind="sudden", from_month=2, until_month=3) == [0, 1, 1] + [0] * 9


def test_volume_varies_around_the_requested_rows() -> None:
    """The peak month has 1.5 times the rows, the month half a year away 0.5 times."""
    volume = scenario.load("seasonal-volume").volume
    assert volume.at(12) == pytest.approx(1.5)
    assert volume.at(6) == pytest.approx(0.5)
    assert sum(volume.at(month) for month in range(1, 13)) == pytest.approx(12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"surprise": 1}, "surprise is not a known key"),
        ({"fraud_share": 1.5}, "fraud_share must be less than 1"),
        ({"fraud_share": None}, "fraud_share is missing"),
        ({"first_day": "2026-01-01"}, "first_day"),
        ({"history": {"rows": 10, "months": 1}}, "history.rows must be at least 1000"),
        ({"volume": {"seasonal_swing": 1.0, "peak_month": 1}}, "volume.seasonal_swing must be less than 1"),
        ({"data_drift": [{"course": {"kind": "sudden", "from_month": 4}, "size": 0.1, "features": ["V99"]}]}, "V99"),
        ({"data_drift": [{"course": {"kind": "abrupt", "from_month": 4}, "size": 0.1, "features": "all"}]}, "kind"),
        (
            {"data_drift": [{"course": {"kind": "gradual", "from_month": 4}, "size": 0.1, "features": "all"}]},
            "gradual needs over_months",
        ),
        (
            {
                "concept_drift": [
                    {
                        "course": {"kind": "sudden", "from_month": 4, "until_month": 2},
                        "top_share": 0.1,
                        "flipped_share": 0.1,
                    }
                ]
            },
            "must not end before it begins",
        ),
        (
            {
                "concept_drift": [
                    {
                        "course": {"kind": "sudden", "from_month": 4},
                        "region": [{"feature": "Amount", "below": 1.0}],
                        "flipped_share": 0.1,
                    }
                ]
            },
            "concept_drift.0.region.0.feature must name features among V1 … V28 (got Amount)",
        ),
        (
            {"outages": [{"month": 2, "first_day": 31, "days": 1}]},
            "outages begin on a day of their month (got day 31 of month 2, February",
        ),
    ],
)
def test_invalid_field_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    """An unknown, missing or out-of-range field is named with the file and the value."""
    with pytest.raises(ConfigError, match=r"own\.yaml: ") as caught:
        scenario.load(written(tmp_path, **changes))
    assert message in str(caught.value)


def test_year_begins_with_a_month(tmp_path: Path) -> None:
    """The first day must be the first of a month."""
    text = (scenario.FOLDER / "both.yaml").read_text().replace("first_day: 2026-01-01", "first_day: 2026-01-02")
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match="first of a month"):
        scenario.load(str(tmp_path / "own.yaml"))


def test_scenario_file_is_read_by_path(tmp_path: Path) -> None:
    """A path that ends in .yaml is a file of the caller; other names must be scenarios of the project."""
    assert isinstance(scenario.load(_copy(tmp_path)), Scenario)
    with pytest.raises(ConfigError, match=r"must be one of .*both.* \(got 'boths'\)"):
        scenario.load("boths")
    with pytest.raises(ConfigError, match="no such file; give a path, or one of both, "):
        scenario.load(str(tmp_path / "absent.yaml"))


def _copy(folder: Path) -> str:
    path = folder / "copy.yaml"
    path.write_text((scenario.FOLDER / "both.yaml").read_text())
    return str(path)
