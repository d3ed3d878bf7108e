"""Patterns of CODEOWNERS."""

from __future__ import annotations

import pytest
from local_github.domain.code_owners import OwnerRule, owners_of, parse

# The rules of the example in GitHub's "About code owners", in its order, with other owners.
EXAMPLE = """
# a comment
*       @global1 @global2
*.js    @js-owner #inline comment
*.go docs@example.com
/build/logs/ @doctocat
docs/*  docs@example.com
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/logs @octocat
/apps/ @octocat
/apps/github
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("README.md", ("@global1", "@global2")),
        ("deep/in/a.js", ("@js-owner",)),
        ("a.go", ("docs@example.com",)),
        ("build/logs/x.txt", ("@octocat",)),
        ("docs/getting-started.md", ("@doctocat",)),
        ("docs/build-app/troubleshooting.md", ("@doctocat",)),
        ("other/apps/x", ("@octocat",)),
        ("scripts/a/b", ("@doctocat", "@octocat")),
        ("deeply/nested/logs/x", ("@octocat",)),
        ("apps/x", ("@octocat",)),
        ("apps/github", ()),
        ("apps/github/x", ()),
    ],
)
def test_last_matching_rule_decides(path: str, owners: tuple[str, ...]) -> None:
    """A rule without owners leaves its files without any."""
    assert owners_of(parse(EXAMPLE), path) == owners


@pytest.mark.parametrize(
    ("pattern", "path", "selects"),
    [
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/deep/a.md", False),
        ("docs/*", "other/docs/a.md", False),
        ("/docs/", "docs/deep/a.md", True),
        ("/docs/", "x/docs/a.md", False),
        ("model-config/", "model-config/gate.yaml", True),
        ("/a/**/z", "a/z", True),
        ("/a/**/z", "a/b/c/z", True),
        ("/a/**", "a/b/c", True),
        ("*.yml", ".github/workflows/ci.yml", True),
        ("infra", "infra/x/y", True),
        ("infra", "infrared", False),
        ("a?c", "abc", True),
        ("a.c", "abc", False),
    ],
)
def test_patterns_are_those_of_gitignore(pattern: str, path: str, selects: bool) -> None:
    """A slash anchors a pattern at the root; `*` matches no slash."""
    assert OwnerRule(pattern=pattern, owners=()).selects(path) is selects
