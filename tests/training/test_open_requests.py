"""Which retrain requests a run resolves, and on which training window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.errors import ConfigError, Refused
from ml.training import open_requests

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
FIRST, SECOND = "20260301T060000Z-data-drift", "20260401T060000Z-concept-drift"


def retrain(
    start: datetime | None, end: datetime | None, cause: str = "data-drift", kind: config.RunKind = "fit"
) -> config.RetrainRequest:
    """A request for that window."""
    return config.RetrainRequest(
        kind=kind, cause=cause, reason="r", window=config.Window(start=start, end=end), evidence={}
    )


@st.composite
def windows(draw: st.DrawFn) -> config.RetrainRequest:
    """A request whose window may be open on either side."""
    start = draw(st.none() | MOMENTS)
    begin = start or datetime(2025, 1, 1, tzinfo=UTC)
    end = draw(st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=400)).map(lambda length: begin + length))
    return retrain(start, end)


def write(root: Path, name: str) -> None:
    """Puts an open request below `root`."""
    folder = root / config.REQUESTS
    folder.mkdir(parents=True, exist_ok=True)
    cause = name.split("Z-", 1)[1]
    (folder / f"{name}.yaml").write_text(config.dump(retrain(None, None, cause)))


def approve(root: Path, *names: str) -> None:
    """Records approval 1, which resolves `names`."""
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/fraudops-model/1"
    record = config.ApprovalRecord(
        approval=1,
        kind="fit",
        model_package_arn=arn,
        artifact=config.Artifact(uri="s3://lake/model.tar.gz", sha256="a" * 64),
        container=config.Container(image="image:1", environment={}),
        commit="c" * 40,
        config_sha256="1" * 64,
        data=config.TrainingData(sha256="2" * 64, window=config.Window(start=None, end=None), rows=10, frauds=1),
        requests=names,
        execution_arn="arn",
        evaluation=config.Evaluation(uri="s3://lake/executions/x/evaluation/evaluation.json", sha256="e" * 64),
        metrics={},
        threshold=0.5,
        verdict=config.Verdict(status="passed", reason="Good"),
        champion=None,
        created=datetime(2026, 5, 1, tzinfo=UTC),
    )
    path = root / config.approval_path(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(config.dump(record))


def test_request_is_open_until_an_approval_names_it(tmp_path: Path) -> None:
    """A request that an approval names is resolved; the others stay open, oldest first."""
    assert open_requests.open_requests(tmp_path) == {}
    write(tmp_path, SECOND)
    write(tmp_path, FIRST)
    assert list(open_requests.open_requests(tmp_path)) == [FIRST, SECOND]
    approve(tmp_path, FIRST)
    assert list(open_requests.open_requests(tmp_path)) == [SECOND]


def test_run_resolves_all_open_requests_or_those_named(tmp_path: Path) -> None:
    """None means all; a list means exactly those, whatever their order."""
    write(tmp_path, FIRST)
    write(tmp_path, SECOND)
    assert list(open_requests.choose(tmp_path, None)) == [FIRST, SECOND]
    assert list(open_requests.choose(tmp_path, [SECOND])) == [SECOND]
    assert list(open_requests.choose(tmp_path, [SECOND, FIRST, SECOND])) == [FIRST, SECOND]
    assert open_requests.choose(tmp_path, []) == {}


def test_unknown_and_resolved_requests_have_different_errors(tmp_path: Path) -> None:
    """A misspelt id is an error that lists what is open; a resolved one is refused as such."""
    write(tmp_path, FIRST)
    write(tmp_path, SECOND)
    approve(tmp_path, FIRST)
    with pytest.raises(ConfigError, match=f"no such request.*{SECOND}"):
        open_requests.choose(tmp_path, ["20260301T060000Z-typo"])
    with pytest.raises(Refused, match="has resolved it"):
        open_requests.choose(tmp_path, [FIRST])


def test_many_requests_resolve_the_oldest_first(tmp_path: Path) -> None:
    """A run takes as many as a package's metadata can name, the oldest first; naming more is an error."""
    names = [f"202603{day:02d}T060000Z-data-drift" for day in range(1, 20)]
    for name in names:
        write(tmp_path, name)
    taken = list(open_requests.choose(tmp_path, None))
    assert taken == names[: len(taken)]
    assert len(" ".join(taken)) <= open_requests.METADATA_LIMIT < len(" ".join(names[: len(taken) + 1]))
    with pytest.raises(Refused, match="more than one model package can name"):
        open_requests.choose(tmp_path, names)


@given(st.dictionaries(st.text(min_size=1, max_size=3), windows(), max_size=4))
def test_one_window_covers_all_requests(chosen: dict[str, config.RetrainRequest]) -> None:
    """It starts at the latest onset and ends at the latest end; without requests both sides are open."""
    found = open_requests.window(chosen, "fit")
    for request in chosen.values():
        if request.window.start is not None:
            assert found.start is not None
            assert found.start >= request.window.start
        if found.end is not None:
            assert request.window.end is not None
            assert found.end >= request.window.end
    if not chosen:
        assert found == config.Window(start=None, end=None)
    if len(chosen) == 1:
        assert found == next(iter(chosen.values())).window


def test_request_for_a_threshold_does_not_limit_a_fit() -> None:
    """Its window is as short as a threshold needs; a run of kind threshold uses it."""
    onset, recent = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    chosen = {"a": retrain(onset, None, kind="adapt"), "b": retrain(recent, None, kind="threshold")}
    assert open_requests.window(chosen, "adapt").start == onset
    assert open_requests.window({"b": chosen["b"]}, "threshold").start == recent
    dropped = {"b": chosen["b"], "c": retrain(onset, None, kind="drop")}
    assert open_requests.window(dropped, "drop").start == onset
    assert open_requests.window(dropped | {"a": retrain(recent, None, kind="adapt")}, "adapt").start == recent
    assert open_requests.window({"b": chosen["b"]}, "fit") == config.Window(start=None, end=None)
