"""Tests of a request's JSON: which flags it may have, and repeated names."""

from __future__ import annotations

import pytest

from ml.model.request_json import first_repeated, instances
from ml.model.scoring_responses import PayloadError

pytestmark = pytest.mark.container


@pytest.mark.parametrize(
    ("flags", "calibrated", "explain"),
    [
        ({}, False, False),
        ({"calibrated": True}, True, False),
        ({"explain": True}, True, True),
        ({"calibrated": False, "explain": True}, False, True),
        ({"explain": False}, False, False),
    ],
)
def test_reasons_come_with_fraud_rates_unless_refused(flags: dict[str, bool], calibrated: bool, explain: bool) -> None:
    """What the request says about fraud rates counts, also beside reasons."""
    assert instances({"instances": [[1]]} | flags, frozenset({"V1"})) == ([[1]], calibrated, explain)


@pytest.mark.parametrize("key", ["calibrated", "explain"])
def test_flag_must_be_true_or_false(key: str) -> None:
    """The error names the key."""
    with pytest.raises(PayloadError, match=f"{key}: must be true or false") as caught:
        instances({"instances": [[1]], key: 1}, frozenset())
    assert caught.value.status == 400


class Counted(str):
    """A name that counts how often it is compared or hashed."""

    __slots__ = ()
    operations = 0

    def __eq__(self, other: object) -> bool:
        Counted.operations += 1
        return super().__eq__(other)

    def __hash__(self) -> int:
        Counted.operations += 1
        return super().__hash__()


def test_first_repeated_takes_linear_time() -> None:
    """The number of comparisons grows with the number of names and not with its square."""

    def operations(count: int) -> int:
        names = [Counted(f"n{index}") for index in range(count)]
        Counted.operations = 0
        assert first_repeated(names) is None
        assert first_repeated([*names, names[-1]]) == f"n{count - 1}"
        return Counted.operations

    assert operations(8_000) < 5 * operations(2_000)
