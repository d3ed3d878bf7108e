"""`fraudops rollback`: it goes back only to models that have served."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.aws import deployment_records
from ml.commands.deploy import deploy
from ml.commands.rollback import rollback
from ml.errors import GitError, Refused
from ml.gitops import serving_pointer
from tests.harness.aws.deployments import finished
from tests.harness.git.repositories import PERSON
from tests.harness.platform import served, stages
from tests.harness.platform.served import ServedPlatform
from tests.harness.platform.stages import STAGED


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """Approvals 1, 2 and 3 merged; 1 and 3 were deployed, the deployment of 2 failed."""
    made = served.on_moto(server, tmp_path, monkeypatch)
    for number in (1, 2, 3):
        made.approve(made.register(float(number)))
        status = "failed" if number == 2 else "succeeded"
        deployment_records.record("lake", finished(number, "2026-03-01T00:00:00Z", status=status))
    return made


def pointed(env: ServedPlatform, revision: str = "main") -> int | None:
    """The serving approval at a revision."""
    return serving_pointer.read(env.workspace.repository, revision).approval


def test_rollback_returns_to_the_last_served_approval(env: ServedPlatform) -> None:
    """It skips an approval whose deployment failed; the branch is prepared but not merged."""
    result = rollback(env.root)
    assert (result.target, result.current, result.branch, result.merged) == (1, 3, "rollback/0001", None)
    assert (pointed(env), pointed(env, result.branch)) == (3, 1)
    assert "merge rollback/0001 into main, then run `fraudops deploy`" in result.says


def test_rollback_uses_git_without_aws(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the deployment history cannot be read, a warning says so and Git's history decides."""
    monkeypatch.setenv("FRAUDOPS_STACK", "absent")
    result = rollback(env.root)
    assert result.target == 2
    assert result.reverted == serving_pointer.moves(env.workspace.repository, "main")[-1].pointer.sha
    assert "could not be read" in capsys.readouterr().err


def test_rollback_in_a_clone_without_main_says_how_to_get_it(env: ServedPlatform) -> None:
    """A clone of another branch has no local branch main."""
    env.workspace.git("branch", "--move", "main", "other")
    with pytest.raises(GitError, match=r"has no branch main, .* git fetch origin main:main"):
        rollback(env.root)


def test_rollback_can_be_merged_directly(env: ServedPlatform) -> None:
    """The merge has the person's name; the output names `fraudops deploy`."""
    result = rollback(env.root, merge=True, approver=PERSON)
    (commit, *_) = env.workspace.repository.log("main")
    assert (commit.sha, commit.author) == (result.merged, PERSON.name)
    assert pointed(env) == 1
    assert result.says.endswith("To apply it: run `fraudops deploy`.")


def test_second_rollback_without_a_target_is_refused(env: ServedPlatform) -> None:
    """An approval that was rolled back is served again only if it is named."""
    rollback(env.root, merge=True, approver=PERSON)
    with pytest.raises(Refused, match="a rollback is not possible"):
        rollback(env.root)
    assert rollback(env.root, to=3, merge=True, approver=PERSON).target == 3
    assert pointed(env) == 3


@pytest.mark.parametrize("target", [2, 9])
def test_approval_that_never_served_is_refused(env: ServedPlatform, target: int) -> None:
    """One whose deployment failed, and one that does not exist."""
    with pytest.raises(Refused, match=rf"{target:04d} has never served.*those that have: 0001, 0003"):
        rollback(env.root, to=target)


def test_serving_approval_is_refused(env: ServedPlatform) -> None:
    """The approval serves already."""
    with pytest.raises(Refused, match="already the one that main serves"):
        rollback(env.root, to=3)


def test_merging_needs_main(env: ServedPlatform) -> None:
    """A merge goes into the branch that is checked out."""
    env.workspace.git("switch", "-q", "-c", "feature")
    with pytest.raises(GitError, match="needs main checked out"):
        rollback(env.root, merge=True, approver=PERSON)


def test_rollback_of_staging_needs_a_staging(env: ServedPlatform) -> None:
    """Without serving/staging.yaml there is one stage."""
    with pytest.raises(Refused, match="there is no staging to roll back"):
        rollback(env.root, staging=True)


@pytest.mark.slow
def test_rollback_of_staging_moves_its_own_pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To what staging has served, by its own history; production stays, and serves nothing here."""
    with stages.platform(tmp_path, monkeypatch) as env:
        env.approve(env.register(-2.0))
        env.approve(env.register(-1.5))  # merged, and never deployed
        with pytest.raises(Refused, match="no model served"):
            rollback(env.root, staging=True)
        deploy(env.root, staging=True)
        env.approve(env.register(-1.0))
        deploy(env.root, staging=True)
        with pytest.raises(Refused, match=r"approval 0001 has never served, .* \(those that have: 0002, 0003\)"):
            rollback(env.root, staging=True, to=1)
        result = rollback(env.root, staging=True, merge=True, approver=PERSON)
        assert (result.target, result.current, result.branch) == (2, 3, "rollback/staging-0002")
        assert result.says.endswith("run `fraudops deploy --staging`.")
        assert env.pointers() == (2, None)
        assert not env.workspace.repository.changes("main~1", "main", config.SERVING)
        deploy(env.root, staging=True)
        assert env.versions(STAGED) == "0002"
        with pytest.raises(Refused, match=r"approval 0002 has never served, .* \(those that have: none\)"):
            rollback(env.root, to=2)
