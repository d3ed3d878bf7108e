"""What differs between two archives: members, values of JSON members, and nothing for equal members."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml.audit import archive_comparison
from ml.model import artifact

MODEL: dict[str, Any] = {"intercept": -1.0, "terms": [{"name": "V1", "coefficient": 0.1}], "n": 3}


def packed(model: Any = MODEL, **members: bytes) -> bytes:
    """An archive with that model.json and more members."""
    return artifact.pack({"model.json": json.dumps(model).encode(), **members})


def test_equal_members_have_no_difference() -> None:
    """Also if the model was written with another key order, its bytes decide."""
    assert archive_comparison.differences(packed(), packed()) == []
    (found,) = archive_comparison.differences(packed(), packed(dict(reversed(MODEL.items()))))
    assert found == "model.json has the same values and other bytes"


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (
            MODEL | {"terms": [{"name": "V1", "coefficient": 0.10000000000000002}]},
            "model.json terms[0] coefficient is 0.1 in the approved archive and 0.10000000000000002 in the new one",
        ),
        (
            MODEL | {"terms": []},
            'model.json terms is [{"name": "V1", "coefficient": 0.1}] in the approved archive and [] in the new one',
        ),
        (MODEL | {"extra": 1}, "model.json extra is null in the approved archive and 1 in the new one"),
    ],
)
def test_value_that_differs_is_named(again: Any, expected: str) -> None:
    """With its place in the document and both values; the last bit counts."""
    assert archive_comparison.differences(packed(), packed(again)) == [expected]


def test_members_are_named() -> None:
    """A member that only one archive has, and one with other code."""
    one = packed(code=b"x = 1\n", old=b"")
    assert archive_comparison.differences(one, packed(code=b"x = 12\n", new=b"")) == [
        "old is only in the approved archive",
        "new is only in the new archive",
        "code has 6 bytes in the approved archive and 7 others in the new one",
    ]


def test_many_values_are_counted() -> None:
    """The first ones are named."""
    found = archive_comparison.differences(packed(list(range(15))), packed(list(range(1, 16))))
    assert len(found) == archive_comparison.NAMED_VALUES + 1
    assert found[-1] == "model.json: 5 more values differ"
