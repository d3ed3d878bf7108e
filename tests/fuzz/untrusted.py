"""Strategies for what an untrusted writer may put into a document, a file or a text; not a test itself."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

MARKUP = (
    "<script>window.harm = 1</script>",
    "<img src=x onerror=window.harm=1>",
    "</title></style></textarea><svg onload=window.harm=1>",
    '" onmouseover="window.harm=1" x=\'',
    "' autofocus onfocus='window.harm=1",
    "javascript:window.harm=1",
    "{{ 7 * 7 }}{% for x in y %}",
    "<!--",
    "-->]]><![CDATA[",
    "</script><base href=//x.invalid>",
    "&lt;b&gt;&#60;b&#62;",
    "a\u2028b\u2029c\u202ed\ufeff",
)
"""Text that a page must show and must not interpret."""
COMMANDS = (
    "$(touch harm)",
    "`touch harm`",
    "; touch harm #",
    "a' && touch harm && 'b",
    "--upload-pack=touch harm",
    "-oProxyCommand=touch harm",
    "%0aharm=1",
    "a\nharm=1",
    "::add-mask::x",
    "::set-output name=a::b",
    "../../harm",
    "/etc/passwd",
    "\x00",
)
"""Text that a shell, git or the runner must not interpret."""
characters = st.characters(codec="utf-8")
hostile_text = st.one_of(
    st.sampled_from([*MARKUP, *COMMANDS]),
    st.text(characters, max_size=40),
    st.lists(st.sampled_from([*MARKUP, *COMMANDS]), min_size=1, max_size=3).map(" ".join),
    st.text(alphabet="<>\"'&;=/ \n\tabhrefsicpt!-", max_size=40),
)
_times = st.datetimes(
    timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 10**30, float("inf"), float("-inf"), float("nan"), -0.0, 5e-324, "", " ", "~", "null"]),
    st.floats(),
    hostile_text,
    st.text(max_size=12),
    st.binary(max_size=12),
    _times,
    st.sampled_from([datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), datetime.max.replace(tzinfo=UTC)]),
    st.dates(),
)
json_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    hostile_text,
    st.text(max_size=12),
    st.sampled_from([0, -1, 10**30, 10**400, "", "0", [], {}]),
)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists and mappings of `leaves`, and `leaves` alone."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )


def places(document: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value of `document` but the whole."""
    items = document.items() if isinstance(document, dict) else enumerate(document) if _is_list(document) else ()
    return [path for key, value in items for path in [(*at, key), *places(value, (*at, key))]]


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


@st.composite
def changed(draw: st.DrawFn, document: Any, leaves: st.SearchStrategy[Any]) -> Any:
    """`document` with one to three values replaced, removed, repeated or added."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        paths = places(made)
        if not paths:
            break
        *parents, last = draw(st.sampled_from(paths))
        holder = made
        for key in parents:
            holder = holder[key]
        how = draw(st.sampled_from(["replace", "replace", "replace", "remove", "repeat", "add"]))
        if how == "replace":
            holder[last] = draw(nested(leaves))
        elif how == "remove":
            del holder[last]
        elif how == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif isinstance(holder, dict):
            holder[draw(hostile_text)] = draw(nested(leaves))
    return made


@st.composite
def damaged(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """Valid bytes with parts changed, cut out, repeated or put in between."""
    data = bytearray(draw(contents))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        end = min(len(data), start + draw(st.integers(0, 16)))
        part = draw(st.one_of(st.binary(max_size=16), st.just(bytes(data[start:end]) * 2), st.just(b"")))
        data[start:end] = part
    if draw(st.booleans()) and data:
        del data[draw(st.integers(0, len(data) - 1)) :]
    return bytes(data)
