"""YAML is parsed strictly; every error has its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_aws import yaml_documents
from local_aws.yaml_documents import MAX_DEPTH, YamlInvalid

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb: [", "line 2: "),
        (b"a: 1\nb: 2\na: 3", "line 3: key 'a' is given twice"),
        (b"a: 1\n? [b]\n: 2", "line 2: a key must be plain text"),
        (b"a: 1\nb: 2026-99-99", "line 2: not a valid timestamp"),
        (b"a: 1\nb: !!bool maybe", "line 2: not a valid bool"),
        (b"a: 1\nb: !!python/name:os.system x", "line 2: could not determine a constructor"),
        (b"a: 1\nb: \xff", "line 2: must be UTF-8"),
        (b"a: 1\nb: \x07", "line 2: character U\\+0007 is not allowed"),
        (b"a: 1\n---\nb: 2", "line 2: but found another document"),
        (b"a: 1\nb: &b [*b]", "line 2: an alias refers to a value that holds it"),
        (b"a: 1\nb: " + b"[" * 5000, f"line 2: nested deeper than {MAX_DEPTH} levels"),
        (BOMB.encode(), "larger than 100000 characters, aliases expanded"),
    ],
)
def test_error_has_the_line(text: bytes, message: str) -> None:
    """Broken syntax, duplicate keys, values against their tags, aliases without bound and deep nesting."""
    with pytest.raises(YamlInvalid, match=message) as caught:
        yaml_documents.load(text)
    assert len(str(caught.value)) < 400


@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,-&*!? \n'\"ab1", max_size=60).map(str.encode))
def test_any_bytes_give_a_document_or_the_error(content: bytes) -> None:
    """No other exception escapes."""
    try:
        yaml_documents.load(content)
    except YamlInvalid as error:
        assert str(error)


def test_document_and_places_of_its_values() -> None:
    """A place that does not exist has the line of the value that would hold it; an empty document has line 1."""
    document, root = yaml_documents.load(b"a: 1\nb:\n  - {c: 2}\n  - c: 3\n    d: 4\n")
    assert document == {"a": 1, "b": [{"c": 2}, {"c": 3, "d": 4}]}
    assert yaml_documents.line_of(root, ("b", 1, "d")) == 5
    assert yaml_documents.line_of(root, ("b", 1, "missing")) == 4
    assert yaml_documents.line_of(root, ("b", 7)) == 3
    assert yaml_documents.load(b"") == (None, None)
    assert yaml_documents.line_of(None, ("a",)) == 1
