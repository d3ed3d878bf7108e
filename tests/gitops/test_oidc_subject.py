"""How the subject of OIDC tokens names a repository: each answer that GitHub gives."""

from __future__ import annotations

from typing import Any

import pytest

from ml.errors import GitHubError
from ml.gitops.oidc_subject import repository_in_subject
from tests.harness.github.scripted import Script, answer, refusal, serving

REPOSITORY = {"full_name": "O/R", "id": 22, "owner": {"id": 11, "login": "O"}}
PATH = "/actions/oidc/customization/sub"


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({"use_default": True}, "O/R"),
        ({"use_default": True, "use_immutable_subject": False, "sub_claim_prefix": "repo:O/R"}, "O/R"),
        ({"use_default": True, "use_immutable_subject": True}, "O@11/R@22"),
        ({"use_default": True, "use_immutable_subject": True, "sub_claim_prefix": "repo:O@11/R@22"}, "O@11/R@22"),
    ],
)
def test_repository_is_named_as_in_its_tokens(setting: dict[str, Any], expected: str) -> None:
    """GitHub's prefix counts; without one the ids are added if the setting says so. The spelling is GitHub's."""
    with serving(Script().on("GET", "", answer(REPOSITORY)).on("GET", PATH, answer(setting))) as script:
        assert repository_in_subject(script.github()) == expected


def test_subject_template_of_its_own_is_refused() -> None:
    """The error names the claims and the command that sets the default back."""
    setting = {"use_default": False, "include_claim_keys": ["repo", "context"]}
    with (
        serving(Script().on("GET", "", answer(REPOSITORY)).on("GET", PATH, answer(setting))) as script,
        pytest.raises(GitHubError, match=r"claims: repo, context.*customization/sub -F use_default=true"),
    ):
        repository_in_subject(script.github())


def test_setting_that_cannot_be_read_is_an_error() -> None:
    """A guess would trust a form that GitHub may not issue."""
    script = Script().on("GET", "", answer(REPOSITORY)).on("GET", PATH, refusal(403, "Resource not accessible"))
    with serving(script), pytest.raises(GitHubError, match="reading the OIDC subject of o/r"):
        repository_in_subject(script.github())
    script = Script().on("GET", "", answer(REPOSITORY)).on("GET", PATH, refusal(404, "Not Found"))
    with serving(script), pytest.raises(GitHubError, match="GitHub shows none to this token"):
        repository_in_subject(script.github())
