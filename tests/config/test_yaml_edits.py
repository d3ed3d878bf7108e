"""Values of a YAML text are changed by key, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml import config
from ml.config import yaml_documents
from ml.errors import ConfigError

TEXT = """\
# a: 1 is what a comment says
a: 1        # the first
b: {c: 0.5, d: [x, y]}   # in brackets
e:
  c: "2"
  f:         # no value yet
g:
  - 1
h: &anchor 3
i: *anchor
"""


@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("a", 21, "\na: 1 ", "\na: 21 "),
        ("a", 1.0e-6, "\na: 1 ", "\na: 1.0e-06 "),
        ("a", None, "\na: 1 ", "\na: null "),
        ("b.c", 0.75, "{c: 0.5,", "{c: 0.75,"),
        ("b.d", [], "[x, y]", "[]"),
        ("b", {"c": 1, "d": []}, "{c: 0.5, d: [x, y]}", "{c: 1, d: []}"),
        ("e.c", "2: # 3", '"2"', "'2: # 3'"),
        ("e.f", True, "f:  ", "f: true  "),
    ],
)
def test_only_the_value_changes(key: str, value: Any, old: str, new: str) -> None:
    """Comments, order, spacing and all other values are unchanged, byte for byte."""
    assert TEXT.count(old) == 1
    changed = config.set_values(TEXT, config.MODEL, {key: value})
    assert changed == TEXT.replace(old, new)


def test_several_values_are_set_at_once() -> None:
    """Each key gets its value."""
    changed = yaml_documents.load(config.set_values(TEXT, config.MODEL, {"b.c": 1, "a": "one", "e.c": 7}))
    assert (changed["b"]["c"], changed["a"], changed["e"]["c"]) == (1, "one", 7)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (TEXT, "z", r"model\.yaml: has no key z, whose value was to be changed"),
        (TEXT, "a.c", r"model\.yaml: has no key a\.c"),
        (TEXT, "e", r"model\.yaml: e must be written on its own, in one line or in brackets"),
        (TEXT, "g", r"model\.yaml: g must be written on its own"),
        (TEXT, "h", r"model\.yaml: h must be written on its own"),
        (TEXT, "i", r"model\.yaml: i must be written on its own"),
        ("a: [", "a", r"model\.yaml: line 1, column 5: not valid YAML"),
        ("", "a", r"model\.yaml: has no key a"),
    ],
)
def test_value_that_cannot_be_changed_alone_is_refused(text: str, key: str, message: str) -> None:
    """Unknown keys, lists and mappings in indented lines, and values that another place repeats are named."""
    with pytest.raises(ConfigError, match=message):
        config.set_values(text, config.MODEL, {key: 5})


printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), printable),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(printable, inner, max_size=3)),
    max_leaves=5,
)


@given(value=plain)
def test_any_plain_value_is_read_back(value: Any) -> None:
    """The changed text has the value; the other keys keep theirs."""
    before = yaml_documents.load(TEXT)
    after = yaml_documents.load(config.set_values(TEXT, config.MODEL, {"b.c": value}))
    assert after.pop("b") == {**before.pop("b"), "c": value}
    assert after == before
