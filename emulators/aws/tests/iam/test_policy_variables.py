"""Policy variables: defaults, escapes, keys without a value, and values that contain wildcards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_aws.iam.policy_variables import RequestContext, pattern, plain, template

CONTEXT = RequestContext(
    {"aws:username": "ana", "aws:PrincipalTag/team": "re*d", "aws:TagKeys": ["a"], "aws:empty": ""}
)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("home/${aws:username}/x", "home/ana/x"),
        ("${AWS:UserName}", "ana"),
        ("${ aws:username }", "ana"),
        ("${aws:username, 'nobody'}", "ana"),
        ("${aws:userid, 'nobody'}", "nobody"),
        ("${aws:userid, 'a, b'}", "a, b"),
        ("${aws:empty, 'nobody'}", "nobody"),
        ("${aws:TagKeys, 'none'}", "none"),
        ("${aws:userid}", None),
        ("${aws:empty}", None),
        ("${aws:TagKeys}", None),
        ("${*}${?}${$}", "*?$"),
        ("${$}{aws:username}", "${aws:username}"),
        ("$aws ${unclosed", "$aws ${unclosed"),
    ],
)
def test_variables_are_replaced(source: str, expected: str | None) -> None:
    """A variable without a value and without a default makes the string null; a key with several values has none."""
    resolved = template(source, True).resolve(CONTEXT)
    assert (None if resolved is None else plain(resolved)) == expected


def test_variables_of_version_2008_are_text() -> None:
    """Without variables `${` is text, and an asterisk within it a wildcard."""
    assert template("${aws:username}", False).resolve(CONTEXT) == "${aws:username}"
    resolved = template("${*}", False).resolve(CONTEXT)
    assert resolved is not None
    assert pattern(resolved).fullmatch("${anything}")


def test_values_of_variables_are_literal() -> None:
    """An asterisk in a tag's value matches only itself."""
    resolved = template("${aws:PrincipalTag/team}-*", True).resolve(CONTEXT)
    assert resolved is not None
    assert pattern(resolved).fullmatch("re*d-1")
    assert not pattern(resolved).fullmatch("red-1")


@given(st.text(max_size=30))
def test_a_string_without_wildcards_matches_itself(text: str) -> None:
    """Escaping hides every character that regular expressions treat specially."""
    source = "".join(f"${{{each}}}" if each in "*?$" else each for each in text)
    resolved = template(source, True).resolve(RequestContext({}))
    assert resolved is not None
    assert plain(resolved) == text
    assert pattern(resolved).fullmatch(text)
