"""GitHub's filter patterns, by the examples of its documentation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_github.actions import filter_patterns
from local_github.actions.workflow_file import WorkflowInvalid


# The examples of GitHub's "filter pattern cheat sheet", each with values that must not match.
@pytest.mark.parametrize(
    ("pattern", "chosen", "left"),
    [
        ("feature/*", ["feature/my-branch", "feature/your-branch"], ["feature/a/b", "feature"]),
        ("feature/**", ["feature/beta-a/my-branch", "feature/your-branch"], ["features/x"]),
        ("main", ["main"], ["main2", "x/main"]),
        ("*", ["main", "releases"], ["all/the/branches"]),
        ("**", ["all/the/branches", "every/tag"], []),
        ("*feature", ["mona-feature", "feature", "ver-10-feature"], ["feature-x", "a/feature"]),
        ("v2*", ["v2", "v2.0", "v2.9"], ["v1", "xv2"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v3.0.0", "v1.1", "v1.x.0"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["page.jsxx", "a/page.js"]),
        ("*.js", ["app.js", "index.js"], ["src/js/app.js"]),
        ("**.js", ["index.js", "js/index.js", "src/js/app.js"], ["index.jsx"]),
        ("docs/*", ["docs/README.md", "docs/file.txt"], ["docs/a/b.md"]),
        ("docs/**", ["docs/README.md", "docs/mona/octocat.txt"], ["README.md"]),
        ("docs/**/*.md", ["docs/README.md", "docs/mona/hello-emulator.md", "docs/a/markdown/file.md"], ["docs/a.txt"]),
        ("**/docs/**", ["docs/hello.md", "dir/docs/my-file.txt", "space/docs/plan/space.doc"], ["mydocs/a"]),
        ("**/README.md", ["README.md", "js/README.md"], ["README.md.txt", "xREADME.md"]),
        ("**/*src/**", ["a/src/app.js", "my-src/code/js/app.js"], ["srcs/app.js"]),
        ("**/*-post.md", ["my-post.md", "path/their-post.md"], ["post.md"]),
        ("**/migrate-*.sql", ["migrate-10909.sql", "db/migrate-v1.0.sql", "db/sept/migrate-v1.sql"], ["migrate.sql"]),
        ("a\\*b", ["a*b"], ["axb"]),
        ("**/*+", ["a", "x/y"], []),
    ],
)
def test_patterns_match_the_examples_of_githubs_documentation(pattern: str, chosen: list[str], left: list[str]) -> None:
    """The pattern matches the whole name, `*` stops at slashes, `?` and `+` are quantifiers."""
    assert [value for value in chosen if not filter_patterns.matches(pattern, value)] == []
    assert [value for value in left if filter_patterns.matches(pattern, value)] == []


def test_last_matching_pattern_decides() -> None:
    """`!` excludes what an earlier pattern included; patterns with `!` alone include nothing."""
    assert filter_patterns.selects(["**", "!docs/**"], "src/a.py")
    assert not filter_patterns.selects(["**", "!docs/**"], "docs/a.md")
    assert filter_patterns.selects(["*.md", "!README.md", "README*"], "README.md")
    assert not filter_patterns.selects(["!docs/**"], "src/a.py")


NAMES = st.text(alphabet="ab/.-_", min_size=1, max_size=10)


@given(name=NAMES, other=NAMES)
def test_literal_pattern_matches_only_itself(name: str, other: str) -> None:
    """Dots and dashes are literal."""
    assert filter_patterns.matches(name, other) == (name == other)


@given(parts=st.lists(st.sampled_from(["a", "b", ".", "/", "*", "**", "a?", "b+"]), max_size=6), name=NAMES)
def test_patterns_agree_with_a_backtracking_matcher(parts: list[str], name: str) -> None:
    """The reference tries every way, character by character."""
    pattern = "".join(parts).replace("***", "*")
    if re.search(r"\*\*/|[*/.][?+]|\*{3,}", pattern):
        return  # covered by the table above
    assert filter_patterns.matches(pattern, name) == _every_way(pattern, name)


def _every_way(pattern: str, name: str) -> bool:
    if not pattern:
        return not name
    if pattern.startswith("**"):
        return any(_every_way(pattern[2:], name[n:]) for n in range(len(name) + 1))
    if pattern.startswith("*"):
        reach = name.find("/") if "/" in name else len(name)
        return any(_every_way(pattern[1:], name[n:]) for n in range(reach + 1))
    mark = pattern[1:2]
    if mark == "?":
        return _every_way(pattern[2:], name) or (name[:1] == pattern[0] and _every_way(pattern[2:], name[1:]))
    if mark == "+":
        more = name[:1] == pattern[0]
        return more and (_every_way(pattern[2:], name[1:]) or _every_way(pattern, name[1:]))
    return name[:1] == pattern[0] and _every_way(pattern[1:], name[1:])


@pytest.mark.parametrize("pattern", ["?a", "[a", "[]", "[_]"])
def test_invalid_pattern_is_refused(pattern: str) -> None:
    """The message contains the pattern."""
    with pytest.raises(WorkflowInvalid, match=re.escape(repr(pattern))):
        filter_patterns.matches(pattern, "a")
