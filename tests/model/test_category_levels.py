"""A category's value means the same in JSON, CSV and Parquet, and every value has a level."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model import category_levels
from ml.model.category_levels import MAX_LENGTH, Levels, text_of

TEXTS = st.text(max_size=20)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("food", "food"),
        ("  food ", "food"),
        ("\tfood", "\tfood"),
        ("", ""),
        (None, ""),
        (5411, "5411"),
        (-1, "-1"),
        (True, "true"),
        (False, "false"),
        ("x" * MAX_LENGTH, "x" * MAX_LENGTH),
    ],
)
def test_text_of_value(value: Any, text: str) -> None:
    """Text without outer spaces, whole numbers, true and false, and nothing as the empty text."""
    assert text_of(value) == text


@pytest.mark.parametrize("value", [1.0, 1.5, [], {}, b"food", "x" * (MAX_LENGTH + 1), 10**MAX_LENGTH])
def test_text_of_refuses_what_is_no_category(value: Any) -> None:
    """A fraction has more than one spelling, and long text is a description."""
    assert text_of(value) is None


@given(st.lists(TEXTS, unique=True, max_size=12), TEXTS)
def test_every_text_has_a_level(levels: list[str], text: str) -> None:
    """A level has its own place; any other text has the place after the last."""
    known = Levels(levels)
    place = known.place(text)
    assert known.places([text, *levels]) == [place, *map(float, range(len(levels)))]
    assert known.level(place) == (text if text in levels else None)
    assert (place == known.other) == (text not in levels)


def test_empty_text_is_shown_as_a_word() -> None:
    """A page must show that there was no value."""
    assert (category_levels.shown(""), category_levels.shown("food")) == ("(empty)", "food")
