"""Pushing with real git: races, protected branches, branches of the bot, and the token."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from werkzeug import Request, Response
from werkzeug.serving import make_server

from ml import config
from ml.errors import GitError, Refused
from ml.gitops import remote as push
from ml.gitops.github_client import RetryPolicy
from ml.gitops.remote import ProtectedBranch, Remote, StaleBranch, credentials, redact_token
from ml.gitops.repository import BOT, Repository
from tests.harness.git.repositories import GitWorkspace
from tests.harness.github.emulator import NAME, Hub

RETRY_POLICY = RetryPolicy(attempts=4, backoff=0.01, max_backoff=0.05)


@pytest.fixture
def shared(workspace: GitWorkspace, tmp_path: Path) -> Path:
    """A bare repository with the workspace's main; it is the workspace's `origin`."""
    bare = tmp_path / "shared.git"
    workspace.git("clone", "-q", "--bare", str(workspace.root), str(bare))
    workspace.git("remote", "add", "origin", str(bare))
    return bare


def clone(shared: Path, into: Path) -> GitWorkspace:
    """Another clone, as in another run."""
    subprocess.run(["git", "clone", "-q", str(shared), str(into)], check=True)
    return GitWorkspace(root=into, repository=Repository(into))


def remote(workspace: GitWorkspace, attempts: int = 4) -> Remote:
    """The workspace's remote, with short retries."""
    return Remote(workspace.repository, retry=RetryPolicy(attempts=attempts, backoff=0.01, max_backoff=0.05))


def at(shared: Path, branch: str = "main") -> str:
    """The commit of the branch."""
    return GitWorkspace(root=shared, repository=Repository(shared)).git("rev-parse", f"refs/heads/{branch}")


def state_file(repository: Repository, name: str, content: bytes = b"x\n") -> str:
    """A commit of the bot that adds one file to main."""
    return repository.commit(
        "main", {f"model-config/gate-failures/{name}.yaml": content}, f"Record gate failure {name}\n\nEvidence.\n"
    )


def hook(shared: Path, name: str, text: str) -> None:
    """Installs a hook in the bare repository."""
    path = shared / "hooks" / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_push_to_main_keeps_the_working_tree(workspace: GitWorkspace, shared: Path) -> None:
    """Working tree and local branch are unchanged; a second push changes nothing."""
    before, commit = workspace.repository.head(), state_file(workspace.repository, "one")
    pushed = remote(workspace).push_main(commit)
    assert (pushed.commit, pushed.state, pushed.attempts) == (commit, "pushed", 1)
    assert at(shared) == commit
    assert (workspace.repository.head(), workspace.repository.dirty()) == (before, [])
    assert remote(workspace).push_main(commit).state == "up to date"


def test_lost_race_is_rebased(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """The commit is rebased on the other's commit and keeps its author, date and message."""
    commit = state_file(workspace.repository, "one")
    other = clone(shared, tmp_path / "other")
    theirs = other.write({"README.md": "hello"}, "Say hello")
    other.git("push", "-q", "origin", "main")
    pushed = remote(workspace).push_main(commit)
    assert (pushed.state, pushed.attempts) == ("rebased", 2)
    assert at(shared) == pushed.commit
    ours = workspace.repository.log(f"{theirs}..{pushed.commit}")
    assert [(each.author, each.subject, each.parents) for each in ours] == [
        (BOT.name, "Record gate failure one", (theirs,))
    ]
    assert workspace.git("log", "-1", "--format=%B %aI", pushed.commit) == workspace.git(
        "log", "-1", "--format=%B %aI", commit
    )
    assert workspace.repository.changes(theirs, pushed.commit) == {"model-config/gate-failures/one.yaml": "A"}


def test_ten_concurrent_pushes_all_succeed(shared: Path, tmp_path: Path) -> None:
    """Ten clones push two commits each: every commit is on main once."""
    workspaces = [clone(shared, tmp_path / f"run-{index}") for index in range(10)]
    start = threading.Barrier(len(workspaces))

    def run(index: int) -> None:
        repository = workspaces[index].repository
        first = state_file(repository, f"{index}-a")
        second = repository.commit(
            first, {f"model-config/gate-failures/{index}-b.yaml": b"y"}, f"Record gate failure {index}-b"
        )
        start.wait(timeout=30)
        Remote(repository, retry=RetryPolicy(attempts=40, backoff=0.02, max_backoff=0.2)).push_main(second)

    with ThreadPoolExecutor(len(workspaces)) as pool:
        list(pool.map(run, range(len(workspaces))))
    bare = Repository(shared)
    assert len(bare.files("main", "model-config/gate-failures")) == 20
    subjects = [each.subject for each in bare.log("main")]
    assert len(subjects) == len(set(subjects)) == 21


def test_lost_race_in_a_shallow_clone_is_rebased(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """A workflow's checkout has one commit; newer commits are fetched, older history is not needed."""
    workspace.write({"README.md": "older"}, "Older")
    remote(workspace).push_main("main")
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{shared}", str(tmp_path / "shallow")], check=True)
    shallow = Repository(tmp_path / "shallow")
    commit = state_file(shallow, "one")
    for subject in ("Newer", "Newest"):
        workspace.write({"README.md": subject}, subject)
        remote(workspace).push_main("main")
    pushed = Remote(shallow, retry=RETRY_POLICY).push_main(commit)
    assert (pushed.state, at(shared)) == ("rebased", pushed.commit)
    assert [each.subject for each in Repository(shared).log("main")][:3] == [
        "Record gate failure one",
        "Newest",
        "Newer",
    ]


def test_two_changes_of_one_file_are_a_conflict(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """Even if the lines could be merged: nothing is pushed, and the error names the file."""
    commit = workspace.repository.commit(
        "main", {config.SERVING: workspace.text(config.SERVING).replace("null", "7").encode()}, "Serve approval 0007"
    )
    other = clone(shared, tmp_path / "other")
    other.write({config.SERVING: other.text(config.SERVING).replace("count: 1", "count: 2")}, "Two instances")
    other.git("push", "-q", "origin", "main")
    before = at(shared)
    with pytest.raises(GitError, match=r"serving/production\.yaml: changed by .* and differently by"):
        remote(workspace).push_main(commit)
    assert at(shared) == before


def test_same_change_by_others_is_no_conflict(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """Two runs record the same file: the second one finds it on main."""
    commit = state_file(workspace.repository, "one")
    other = clone(shared, tmp_path / "other")
    theirs = other.repository.commit("main", {"model-config/gate-failures/one.yaml": b"x\n"}, "Another run's words")
    theirs = other.repository.commit(theirs, {"README.md": b"more"}, "And more")
    remote(other).push_main(theirs)
    pushed = remote(workspace).push_main(commit)
    assert (pushed.state, pushed.commit) == ("up to date", theirs)


def test_rebase_keeps_removals_and_modes(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """A rebased commit keeps removals and file modes; a file that became a folder is a conflict."""
    workspace.write({"gone.txt": "1", "run.sh": "#!/bin/sh"}, "More")
    remote(workspace).push_main("main")
    other = clone(shared, tmp_path / "other")
    other.write({"README.md": "hello"}, "Say hello")
    other.git("push", "-q", "origin", "main")
    workspace.git("rm", "-q", "gone.txt")
    workspace.git("update-index", "--chmod=+x", "run.sh")
    workspace.git("commit", "-q", "-m", "Tidy")
    pushed = remote(workspace).push_main("main")
    tree = workspace.git("ls-tree", "-r", pushed.commit)
    assert "gone.txt" not in tree
    assert [line[:6] for line in tree.splitlines() if line.endswith("run.sh")] == ["100755"]
    ours = workspace.repository.commit(pushed.commit, {"new/inside": b"1"}, "New")
    other.git("pull", "-q", "--rebase")
    other.write({"new": "a file"}, "A file of that name")
    other.git("push", "-q", "origin", "main")
    with pytest.raises(GitError, match="new"):
        remote(workspace).push_main(ours)


def test_merge_commit_is_not_rebased(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """A person's merge is never flattened."""
    workspace.git("switch", "-q", "-c", "side")
    workspace.write({"side": "1"}, "Side")
    workspace.git("switch", "-q", "main")
    workspace.git("merge", "-q", "--no-ff", "-m", "Merge side", "side")
    other = clone(shared, tmp_path / "other")
    other.write({"README.md": "hello"}, "Say hello")
    other.git("push", "-q", "origin", "main")
    with pytest.raises(GitError, match="is a merge"):
        remote(workspace).push_main("main")


def test_protected_main_is_not_retried(workspace: GitWorkspace, shared: Path) -> None:
    """GitHub's refusal is recognised at the first attempt, so the caller opens a pull request."""
    commit, before = state_file(workspace.repository, "one"), at(shared)
    hook(
        shared,
        "update",
        '[ "$1" = refs/heads/main ] || exit 0\n'
        "echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2\n"
        "echo 'error: Changes must be made through a pull request.' >&2\nexit 1",
    )
    with pytest.raises(ProtectedBranch, match="GH006: Protected branch update failed"):
        remote(workspace).push_main(commit)
    assert at(shared) == before
    assert remote(workspace).push_branch("bot/gate-failure-one", commit, seen=None).state == "pushed"


def test_other_refusal_is_an_error(workspace: GitWorkspace, shared: Path) -> None:
    """A hook's refusal is not retried, and the error has its message."""
    log = shared / "asked"
    hook(shared, "pre-receive", f"echo x >> {log}\necho 'too large a file' >&2\nexit 1")
    with pytest.raises(GitError, match="too large a file") as caught:
        remote(workspace).push_main(state_file(workspace.repository, "one"))
    assert not isinstance(caught.value, ProtectedBranch | StaleBranch)
    assert log.read_text() == "x\n"


def test_attempts_of_a_lost_race_are_limited(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """The error comes after the last attempt and says so."""
    other = clone(shared, tmp_path / "other")

    class Beaten(Remote):
        """A remote that another push always reaches first."""

        def _push(self, commit: str, branch: str, options: object) -> object:  # type: ignore[override]
            other.git("pull", "-q", "--rebase")
            other.write({"README.md": at(shared)}, "Again")
            other.git("push", "-q", "origin", "main")
            return super()._push(commit, branch, options)  # type: ignore[arg-type]

    with pytest.raises(GitError, match="others pushed first 3 times in a row"):
        Beaten(workspace.repository, retry=RetryPolicy(attempts=3, backoff=0.01)).push_main(
            state_file(workspace.repository, "one")
        )


def test_bots_branch_is_replaced_only_at_the_expected_commit(workspace: GitWorkspace, shared: Path) -> None:
    """It is created, replaced at the expected commit, and not changed if it moved since."""
    repository, hub = workspace.repository, remote(workspace)
    first, second, third = (state_file(repository, name) for name in ("one", "two", "three"))
    assert hub.fetch("approve/0007") is None
    assert hub.push_branch("approve/0007", first, seen=None).state == "pushed"
    assert hub.fetch("approve/0007") == first
    assert hub.push_branch("approve/0007", second, seen=first).state == "pushed"
    assert at(shared, "approve/0007") == second
    for seen in (None, first):
        with pytest.raises(StaleBranch, match=f"it points at {second} now"):
            hub.push_branch("approve/0007", third, seen=seen)
    assert at(shared, "approve/0007") == second
    assert hub.push_branch("approve/0007", second, seen=None).state == "up to date"
    hub.delete_branch("approve/0007", seen=second)
    assert hub.fetch("approve/0007") is None
    hub.delete_branch("approve/0007", seen=second)


def test_commits_of_people_on_the_bots_branch_are_not_lost(
    workspace: GitWorkspace, shared: Path, tmp_path: Path
) -> None:
    """Even at the expected commit: the error names the person. A commit on top of theirs is pushed."""
    hub = remote(workspace)
    hub.push_branch("approve/0007", state_file(workspace.repository, "one"), seen=None)
    other = clone(shared, tmp_path / "other")
    other.git("switch", "-q", "approve/0007")
    theirs = other.write({"notes.md": "looked at"}, "Notes")
    other.git("push", "-q", "origin", "approve/0007")
    with pytest.raises(GitError, match="has commits of A Person"):
        hub.push_branch("approve/0007", state_file(workspace.repository, "two"), seen=hub.fetch("approve/0007"))
    assert at(shared, "approve/0007") == theirs
    on_top = workspace.repository.commit(theirs, {"more": b"1"}, "On top")
    assert hub.push_branch("approve/0007", on_top, seen=theirs).state == "pushed"


@pytest.mark.parametrize("branch", ["main", "feature/x", "evidence", "approve"])
def test_only_the_bots_branches_are_forced_or_deleted(workspace: GitWorkspace, shared: Path, branch: str) -> None:
    """Other branch names are refused."""
    with pytest.raises(Refused, match="not one of the bot's"):
        remote(workspace).push_branch(branch, "main", seen=None)
    with pytest.raises(Refused, match="not one of the bot's"):
        remote(workspace).delete_branch(branch, seen=at(shared))


def test_branch_is_adopted_from_the_remote(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """A run has main only: the branch of an earlier run is fetched, unless local commits would be lost."""
    hub, other = remote(workspace), clone(shared, tmp_path / "other")
    tip = state_file(other.repository, "one")
    remote(other).push_branch("approve/0007", tip, seen=None)
    assert hub.update_local_branch("approve/0007") == tip
    assert workspace.repository.resolve("refs/heads/approve/0007") == tip
    assert hub.update_local_branch("approve/0008") is None
    workspace.git("branch", "approve/0009", state_file(workspace.repository, "two"))
    remote(other).push_branch("approve/0009", state_file(other.repository, "three"), seen=None)
    with pytest.raises(Refused, match="commits that origin lacks"):
        hub.update_local_branch("approve/0009")


# The token


def test_token_goes_to_its_server_only() -> None:
    """It is in git's environment only, for one URL, after a setting that clears the checkout's header."""
    given = {"GITHUB_TOKEN": "secret-token", "GITHUB_SERVER_URL": "https://git.invalid/", "GIT_CONFIG_COUNT": "1"}
    added = credentials(given)
    count = int(added["GIT_CONFIG_COUNT"])
    settings = [(added[f"GIT_CONFIG_KEY_{i}"], added[f"GIT_CONFIG_VALUE_{i}"]) for i in range(1, count)]
    assert "GIT_CONFIG_KEY_0" not in added  # another server
    headers = [value for key, value in settings if key == "http.https://git.invalid/.extraheader"]
    secret = base64.b64encode(b"x-access-token:secret-token").decode()
    assert headers == ["", f"AUTHORIZATION: basic {secret}"]
    assert not any("extraheader" in key for key in credentials({}).values())
    assert redact_token(f"a secret-token b {secret}", given) == "a *** b ***"


Answer = Callable[[Request], Response]


@contextmanager
def served(answer: Answer) -> Iterator[tuple[str, list[Request]]]:
    """A server that answers with `answer`, and its requests."""
    asked: list[Request] = []

    @Request.application
    def app(request: Request) -> Response:
        asked.append(request)
        return answer(request)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_token_reaches_the_server_and_no_message(
    workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One header is sent, even if a checkout left another; command line, configuration and errors lack the token."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token")
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE", str(trace))
    with served(lambda request: Response("secret-token is no good", status=403)) as (url, asked):
        monkeypatch.setenv("GITHUB_SERVER_URL", url)
        workspace.git("remote", "add", "origin", f"{url}/o/r.git")
        workspace.git("config", f"http.{url}/.extraheader", "AUTHORIZATION: basic stale")
        with pytest.raises(GitError, match="GITHUB_TOKEN must be set, valid and allowed") as caught:
            remote(workspace).push_main(state_file(workspace.repository, "one"))
    expected = "basic " + base64.b64encode(b"x-access-token:secret-token").decode()
    assert [request.headers.getlist("Authorization") for request in asked] == [[expected]]
    for text in (str(caught.value), trace.read_text(), (workspace.root / ".git/config").read_text()):
        assert "secret-token" not in text
        assert expected not in text


def test_another_server_gets_no_token(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to another server have no token, and git prompts for no password."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.invalid")
    unauthorised = Response("no", status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    with served(lambda request: unauthorised) as (url, asked):
        workspace.git("remote", "add", "origin", f"{url}/o/r.git")
        with pytest.raises(GitError, match="GITHUB_TOKEN must be set"):
            remote(workspace).fetch("main")
    assert asked
    assert not any(request.headers.get("Authorization") for request in asked)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_outage_is_retried_a_limited_number_of_times(workspace: GitWorkspace, status: int) -> None:
    """After the last attempt the error says to run it again."""
    with served(lambda request: Response("down", status=status)) as (url, asked):
        workspace.git("remote", "add", "origin", f"{url}/o/r.git")
        with pytest.raises(GitError, match="run this again when it is back"):
            remote(workspace, attempts=3).push_main(state_file(workspace.repository, "one"))
    assert len(asked) == 3


def test_refused_connection_is_an_outage(workspace: GitWorkspace) -> None:
    """Refused connections are retried too."""
    with served(lambda request: Response("")) as (url, _):
        pass
    workspace.git("remote", "add", "origin", f"{url}/o/r.git")
    with pytest.raises(GitError, match="run this again when it is back"):
        remote(workspace, attempts=2).fetch("main")


def test_push_with_a_lost_answer_is_found_on_main(workspace: GitWorkspace, shared: Path, tmp_path: Path) -> None:
    """The connection broke after the server stored the push, and others pushed on top."""
    commit = state_file(workspace.repository, "one")

    class Broken(Remote):
        """A remote whose first push is stored but fails with an error."""

        lost = False

        def _push(self, commit: str, branch: str, options: object) -> object:  # type: ignore[override]
            state = super()._push(commit, branch, options)  # type: ignore[arg-type]
            if not self.lost:
                self.lost = True
                if branch == "main":
                    other = clone(shared, tmp_path / "other")
                    other.write({"README.md": "on top"}, "On top")
                    other.git("push", "-q", "origin", "main")
                raise push._Outage("the remote end hung up")
            return state

    pushed = Broken(workspace.repository, retry=RETRY_POLICY).push_main(commit)
    assert (pushed.state, pushed.commit) == ("up to date", commit)
    assert Repository(shared).is_ancestor(commit, "main")
    assert (
        Broken(workspace.repository, retry=RETRY_POLICY).push_branch("bot/x", commit, seen=None).state == "up to date"
    )


# Over HTTP, to the GitHub emulator


def test_workflow_pushes_over_http(hub: Hub) -> None:
    """It pushes main and its own branches with the token of the environment."""
    repository = hub.workspace.repository
    pushed = hub.remote().push_main(state_file(repository, "one"))
    assert hub.remote().fetch("main") == pushed.commit
    hub.branch("approve/0007")
    assert hub.remote().fetch("approve/0007") is not None


def test_protected_main_is_recognised_over_http(hub: Hub) -> None:
    """The refusals of the GitHub emulator for required pull requests and for required statuses."""
    rules = hub.server.state.repositories[NAME].protections
    commit = state_file(hub.workspace.repository, "one")
    for rule in (
        {"required_pull_request_reviews": {"required_approving_review_count": 0}},
        {"required_status_checks": {"strict": False, "contexts": ["fraudops/ci"]}},
    ):
        rules["main"] = rule
        with pytest.raises(ProtectedBranch, match="GH006"):
            hub.remote().push_main(commit)
    assert hub.remote().push_branch("bot/gate-failure-one", commit, seen=None).state == "pushed"


def test_token_without_push_permission_is_an_error(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only token and an invalid one fail without retries and without a prompt."""
    commit = state_file(hub.workspace.repository, "one")
    reading = hub.server.token("github-actions[bot]", permissions={"contents": "read"}, repository=NAME)
    for token in (reading, "ghs_wrong"):
        monkeypatch.setenv("GITHUB_TOKEN", token)
        with pytest.raises(GitError, match="GITHUB_TOKEN must be set, valid and allowed to write contents") as caught:
            hub.remote().push_main(commit)
        assert token not in str(caught.value)
