"""`fraudops ci-status`: which skipped jobs count as passed, and which commit gets the status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml.commands import ci_status
from ml.commands.ci_status import ChecksFailed
from ml.errors import ConfigError
from ml.workflow.ci_results import problems
from tests.harness.git import changes
from tests.harness.git.changes import ChangedRepository
from tests.harness.github.scripted import PREFIX, Script, answer, serving

JOBS = ("changes", "validate", "plan", "suite", "packages", "templates", "audit", "dependencies")


def needs(code: str = "true", **results: str) -> dict[str, dict[str, Any]]:
    """The `needs` context with success for every job but those given."""
    found: dict[str, dict[str, Any]] = {name: {"result": results.get(name, "success"), "outputs": {}} for name in JOBS}
    found["changes"]["outputs"] = {"code": code}
    return found


def wrong(
    found: dict[str, dict[str, Any]], *, event: str = "pull_request", about_pull_request: bool = True
) -> set[str]:
    """The jobs that do not count as passed."""
    return set(problems(found, event=event, about_pull_request=about_pull_request))


def test_status_passes_when_all_jobs_pass() -> None:
    """No job is reported."""
    assert wrong(needs()) == set()


@pytest.mark.parametrize("result", ["failure", "cancelled"])
@pytest.mark.parametrize("job", JOBS)
def test_any_job_that_did_not_pass_fails_all(job: str, result: str) -> None:
    """This holds for every job, failed or cancelled."""
    assert wrong(needs(**{job: result})) == {job}


@pytest.mark.parametrize("job", JOBS)
def test_skipped_required_job_fails(job: str) -> None:
    """GitHub counts a skipped job as success; ci-status does not."""
    assert wrong(needs(**{job: "skipped"})) == {job}


def test_tests_may_be_skipped_without_code_changes() -> None:
    """A change of model-config/ alone is checked by the job validate."""
    left_out = dict.fromkeys(("suite", "packages", "templates", "audit", "dependencies"), "skipped")
    assert wrong(needs("false", **left_out)) == set()
    assert wrong(needs("false", **left_out, validate="skipped")) == {"validate"}


def test_nothing_may_be_skipped_when_changes_failed() -> None:
    """If the job changes fails, the jobs that it skips count as not passed."""
    skipped = ("suite", "packages", "templates", "audit", "dependencies")
    found = needs("", changes="failure", **dict.fromkeys(skipped, "skipped"))
    assert wrong(found) == {"changes", *skipped}


def test_suite_may_be_disabled_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """FRAUDOPS_SUITE allows skipping the suite (skip) or all jobs on code (off), but not validate."""
    monkeypatch.setenv("FRAUDOPS_SUITE", "skip")
    assert wrong(needs(**dict.fromkeys(("suite", "packages", "dependencies"), "skipped"))) == set()
    assert wrong(needs(suite="skipped", packages="skipped", dependencies="skipped", audit="skipped")) == {"audit"}
    monkeypatch.setenv("FRAUDOPS_SUITE", "off")
    assert wrong(needs(suite="skipped", packages="skipped", audit="skipped", templates="skipped")) == set()
    assert wrong(needs(validate="skipped")) == {"validate"}


def test_push_has_no_plan() -> None:
    """A push has nothing to merge, so plan may be skipped."""
    assert wrong(needs(plan="skipped"), event="push", about_pull_request=False) == set()


def test_job_without_result_fails() -> None:
    """A job that is removed from `needs` counts as not passed."""
    found = needs()
    del found["validate"]
    assert wrong(found) == {"validate"}


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A branch with an edited README."""
    made = changes.make(tmp_path, monkeypatch)
    made.branch("docs", {"README.md": "# Other\n"})
    return made


def post(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], sha: str) -> dict[str, Any]:
    """The status that was posted on `sha`."""
    monkeypatch.setenv("FRAUDOPS_NEEDS", json.dumps(found))
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    with serving(Script().on("POST", f"/statuses/{sha}", answer({}, 201))) as script:
        monkeypatch.setenv("GITHUB_API_URL", f"{script.url}{PREFIX.removesuffix('/repos/o/r')}")
        if any(job["result"] == "failure" for job in found.values()):
            with pytest.raises(ChecksFailed, match="suite ended as failure"):
                ci_status.ci_status()
        else:
            assert ci_status.ci_status().posted
    ((_, _, status),) = script.asked
    return dict(status)


def test_status_is_on_the_pull_requests_commit(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is on the head commit, not on GitHub's merge commit; a failure is posted before the error."""
    head = env.workspace.git("rev-parse", "HEAD")
    env.pull_request()
    file = env.folder / "event.json"
    file.write_text(file.read_text().replace("acme/fraud", "o/r"))
    status = post(env, monkeypatch, needs(), head)
    assert (status["context"], status["state"]) == ("fraudops/ci", "success")
    status = post(env, monkeypatch, needs(suite="failure"), head)
    assert (status["state"], status["description"]) == ("failure", "suite ended as failure")
    assert "Not passed" in env.summary.read_text()


def test_push_status_is_on_its_commit(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is on the commit that was pushed."""
    sha = env.workspace.git("rev-parse", "HEAD")
    env.push(env.workspace.git("rev-parse", "main"))
    assert post(env, monkeypatch, needs(plan="skipped"), sha)["state"] == "success"


def test_merge_group_status_is_on_its_head_commit(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge queue waits for the status on the group's head; there is no plan, and GITHUB_SHA decides nothing."""
    head = env.workspace.git("rev-parse", "HEAD")
    env.merge_group(env.workspace.git("rev-parse", "main"))
    monkeypatch.setenv("GITHUB_SHA", "c" * 40)
    assert post(env, monkeypatch, needs(plan="skipped"), head)["state"] == "success"
    assert post(env, monkeypatch, needs(plan="skipped", suite="failure"), head)["state"] == "failure"


def test_dispatch_status_is_on_the_checked_commit(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is pushed during the run gets no status."""
    checked, pushed = "b" * 40, "c" * 40
    pull = {
        "number": 9,
        "html_url": "u",
        "state": "open",
        "title": "t",
        "body": "",
        "user": {"login": "github-actions[bot]"},
        "labels": [],
        "merged_at": None,
        "head": {"ref": "approve/0002", "sha": pushed, "repo": {"full_name": "o/r"}},
        "base": {"ref": "main"},
    }
    env.event("workflow_dispatch", {}, ref_name="approve/0002", sha=checked)
    script = Script().on("GET", "/pulls/9", answer(pull))
    for sha in (checked, pushed):
        script.on("POST", f"/statuses/{sha}", answer({}, 201))
    monkeypatch.setenv("FRAUDOPS_NEEDS", json.dumps(needs()))
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    monkeypatch.setenv("GITHUB_TOKEN", "t")
    with serving(script):
        monkeypatch.setenv("GITHUB_API_URL", f"{script.url}{PREFIX.removesuffix('/repos/o/r')}")
        assert ci_status.ci_status(pull_request=9).sha == checked
    assert [script.count("POST", f"/statuses/{sha}") for sha in (checked, pushed)] == [1, 0]


@pytest.mark.parametrize(
    ("ref", "posted"), [("refs/heads/main", True), ("refs/heads/docs", False), ("refs/tags/main", False)]
)
def test_branch_alone_gets_no_status(
    env: ChangedRepository, monkeypatch: pytest.MonkeyPatch, ref: str, posted: bool
) -> None:
    """Otherwise a dispatch on a branch could pass a pull request that only the bot may open."""
    sha = env.workspace.git("rev-parse", "HEAD")
    env.event("workflow_dispatch", {}, ref_name=ref.rsplit("/", 1)[1])
    monkeypatch.setenv("GITHUB_REF", ref)
    if posted:
        assert post(env, monkeypatch, needs(plan="skipped"), sha)["state"] == "success"
        return
    monkeypatch.setenv("FRAUDOPS_NEEDS", json.dumps(needs(plan="skipped")))
    assert not ci_status.ci_status().posted


def test_fork_run_posts_no_status(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork's token cannot post it, which is no error; without the status the fork cannot be merged."""
    env.pull_request(fork=True)
    monkeypatch.setenv("FRAUDOPS_NEEDS", json.dumps(needs()))
    assert not ci_status.ci_status().posted


@pytest.mark.parametrize("result", ["success", "failure"])
def test_run_posts_nothing_where_an_app_posts_the_status(
    env: ChangedRepository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], result: str
) -> None:
    """It needs no token then; the job still fails for a failed check."""
    env.pull_request()
    monkeypatch.setenv("FRAUDOPS_STATUS_APP", "Iv1")
    monkeypatch.setenv("FRAUDOPS_NEEDS", json.dumps(needs(suite=result)))
    if result == "success":
        assert not ci_status.ci_status().posted
    else:
        with pytest.raises(ChecksFailed, match="suite ended as failure"):
            ci_status.ci_status()
    assert "ci-status.yml posts the status" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}'])
def test_invalid_needs_context_is_refused(env: ChangedRepository, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """An invalid context is an error and never counts as passed."""
    monkeypatch.setenv("FRAUDOPS_NEEDS", text)
    with pytest.raises(ConfigError, match="FRAUDOPS_NEEDS must be the needs context"):
        ci_status.ci_status()
