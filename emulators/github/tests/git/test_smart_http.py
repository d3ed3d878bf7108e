"""Git over HTTP: who may clone and push, what protection refuses, what events a push makes."""

from __future__ import annotations

import gzip
import http.client
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from local_github.api.rest.repositories import protect
from local_github.git.bare_repository import ZERO

Git = Callable[..., subprocess.CompletedProcess[str]]


def test_anyone_clones_a_public_repository(world: Any, clone: Any) -> None:
    """A clone without a token holds what was pushed, and fsck finds nothing wrong."""
    target = world.folder / "copy"
    clone.git("clone", "--quiet", world.url(None), str(target))
    assert (target / "README.md").read_text() == "# Fraud\n"
    clone.git("-C", str(target), "fsck", "--strict")


def test_address_works_without_the_git_suffix_and_whatever_the_case(world: Any, clone: Any) -> None:
    """GitHub serves owner/name and OWNER/Name.git alike."""
    for address in ("/acme/fraud", "/ACME/Fraud.git"):
        assert "refs/heads/main" in clone.git("ls-remote", world.github.url + address).stdout


def test_push_without_a_token_ends_at_once(world: Any, clone: Any) -> None:
    """Git asks for a user name, finds no terminal, and stops instead of waiting."""
    done = clone.git("push", world.url(None), "main:other", check=False)
    assert done.returncode == 128
    assert "could not read Username" in done.stderr


def test_push_with_a_wrong_token_is_refused(world: Any, clone: Any) -> None:
    """A token that nobody was given authenticates nobody."""
    done = clone.git("push", world.url("ghp_wrong"), "main:other", check=False)
    assert done.returncode == 128
    assert "Authentication failed" in done.stderr


def test_revoked_token_is_refused(world: Any, clone: Any) -> None:
    """A workflow's token ends with its job."""
    token = world.workflow(contents="write")
    clone.git("push", "--quiet", world.url(token), "main:one")
    world.github.revoke(token)
    assert clone.git("push", world.url(token), "main:two", check=False).returncode == 128


@pytest.mark.parametrize("permissions", [{}, {"contents": "read"}, {"pull_requests": "write"}])
def test_push_needs_contents_write(world: Any, clone: Any, permissions: dict[str, str]) -> None:
    """A workflow without contents: write is told so in GitHub's words."""
    done = clone.git("push", world.url(world.workflow(**permissions)), "main:other", check=False)
    assert done.returncode == 128
    assert "Permission to acme/fraud.git denied to github-actions[bot]." in done.stderr
    assert world.events == []


def test_token_of_another_repository_does_not_push(world: Any, clone: Any) -> None:
    """A token bound to a fork reads its parent and writes nothing there."""
    token = world.token("mallory", repository="mallory/fraud")
    clone.git("ls-remote", world.url(token))
    assert "denied to mallory" in clone.git("push", world.url(token), "main:other", check=False).stderr


def test_private_repository_is_hidden_from_who_may_not_see_it(world: Any, clone: Any) -> None:
    """Without a token 401, with someone else's 404: neither says that it exists."""
    world.github.create_repository("acme/secret", private=True)
    anonymous = clone.git("ls-remote", world.url(None, "acme/secret"), check=False)
    stranger = clone.git("ls-remote", world.url(world.token("eve", repository="eve/x"), "acme/secret"), check=False)
    assert anonymous.returncode == stranger.returncode == 128
    assert "not found" in stranger.stderr
    assert clone.git("ls-remote", world.url(world.token(), "acme/secret")).returncode == 0


def test_bearer_token_in_a_header_pushes(world: Any, clone: Any) -> None:
    """actions/checkout keeps its token in http.extraheader."""
    header = f"http.extraheader=AUTHORIZATION: bearer {world.token()}"
    clone.git("-c", header, "push", "--quiet", world.url(None), "main:header")
    assert world.github.state.find("acme", "fraud").git.branch("header")


def test_large_push_is_taken_in_chunks(world: Any, clone: Any) -> None:
    """Beyond http.postBuffer git sends chunked bodies; what arrives is what was sent."""
    noise = os.urandom(300_000).hex()
    clone.git("config", "http.postBuffer", "65536")
    sha = clone.commit({"noise.txt": noise})
    clone.push("main")
    git = world.github.state.find("acme", "fraud").git
    assert git.branch("main") == sha
    assert git.show(sha, "noise.txt") == noise.encode()


def test_gzipped_request_is_understood(world: Any, clone: Any) -> None:
    """Git compresses long negotiations; http-backend inflates them."""
    sha = world.github.state.find("acme", "fraud").git.branch("main")
    body = gzip.compress(f"0032want {sha}\n00000009done\n".encode())
    address = urlsplit(world.github.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    kind = "application/x-git-upload-pack"
    headers = {"Content-Type": f"{kind}-request", "Content-Encoding": "gzip"}
    connection.request("POST", "/acme/fraud.git/git-upload-pack", body, headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("Content-Type") == f"{kind}-result"
    assert b"PACK" in answer.read()
    connection.close()


def test_shallow_fetch_of_a_commit_works(world: Any, clone: Any) -> None:
    """actions/checkout fetches one SHA with depth 1."""
    sha = clone.git("rev-parse", "main").stdout.strip()
    target = world.folder / "shallow"
    clone.git("init", "--quiet", str(target))
    clone.git("-C", str(target), "fetch", "--quiet", "--depth=1", world.url(None), sha)
    assert clone.git("-C", str(target), "rev-parse", "FETCH_HEAD").stdout.strip() == sha


def test_dumb_protocol_is_not_served(world: Any, clone: Any) -> None:
    """No file of a bare repository is reachable by its name."""
    for path in ("/acme/fraud.git/HEAD", "/acme/fraud.git/config", "/acme/fraud.git/objects/info/packs"):
        assert fetch(world, path)[0] == 404
    assert fetch(world, "/acme/fraud.git/info/refs")[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/acme/..%2f..%2fother.git/info/refs?service=git-upload-pack",
        "/%2e%2e/fraud.git/info/refs?service=git-upload-pack",
        "/..%2facme/fraud.git/info/refs?service=git-upload-pack",
        "/raw/acme/fraud/main/../../../../etc/passwd",
        "/raw/acme/fraud/main/%2e%2e/%2e%2e/etc/passwd",
        "/raw/acme/../fraud/main/README.md",
        "/api/v3/repos/acme/fraud/contents/..%2f..%2fetc/passwd",
        "/api/v3/repos/../acme/fraud",
        "/acme/fraud/raw/--output=x/README.md",
    ],
)
def test_paths_lead_nowhere_but_into_repositories(world: Any, clone: Any, path: str) -> None:
    """Whatever a path says, it names a known repository and a path in one of its trees, or nothing."""
    status, body = fetch(world, path)
    assert status in {401, 404}
    assert b"root:" not in body


def fetch(world: Any, path: str, host: str | None = None) -> tuple[int, bytes]:
    """GET as it is written, without a client that tidies the path."""
    address = urlsplit(world.github.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or address.netloc)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_other_host_names_are_not_served(world: Any, clone: Any) -> None:
    """A name that someone pointed at loopback reads nothing (DNS rebinding)."""
    assert fetch(world, "/", "evil.example.invalid")[0] == 421
    assert fetch(world, "/", "localhost")[0] == 200


# -- events


def test_push_event_has_githubs_payload(world: Any, clone: Any) -> None:
    """Commits in order with their files, before and after, who pushed; paths compare before to after."""
    before = clone.git("rev-parse", "main").stdout.strip()
    clone.commit({"a.txt": "1", "model-config/gate.yaml": "min_recall: 0.7\n"}, "One\n\nWhy.")
    after = clone.commit({"a.txt": None, "b.txt": "2"}, "Two")
    clone.push("main")
    (event,) = world.events
    payload = event.payload
    assert (event.name, event.ref, event.before, event.sha, event.actor) == (
        "push", "refs/heads/main", before, after, "alice",
    )  # fmt: skip
    assert set(event.changed_files) == {"b.txt", "model-config/gate.yaml"}
    assert not event.from_workflow_token
    assert [commit["message"] for commit in payload["commits"]] == ["One\n\nWhy.", "Two"]
    assert payload["commits"][0]["added"] == ["a.txt"]
    assert payload["commits"][0]["modified"] == ["model-config/gate.yaml"]
    assert payload["commits"][1]["removed"] == ["a.txt"]
    assert (payload["created"], payload["deleted"], payload["forced"]) == (False, False, False)
    assert payload["head_commit"]["id"] == payload["after"] == after
    assert payload["pusher"]["name"] == payload["sender"]["login"] == "alice"
    assert payload["repository"]["full_name"] == "acme/fraud"


def test_new_branch_brings_only_its_own_commits(world: Any, clone: Any, branch: Any) -> None:
    """Created, zeros before, and the paths of the commits that no other branch has."""
    branch("topic", {"topic.txt": "1"})
    (event,) = world.events
    assert event.before == ZERO
    assert event.payload["created"]
    assert len(event.payload["commits"]) == 1
    assert event.changed_files == ("topic.txt",)


def test_forced_push_deletion_and_tag_are_told_as_such(world: Any, clone: Any, branch: Any) -> None:
    """forced, deleted and refs/tags are what `on: push` filters ask for; a tag has no paths."""
    branch("topic", {"one.txt": "1"})
    branch("topic", {"two.txt": "1"})
    clone.git("tag", "v1")
    clone.push("v1")
    clone.push(":topic")
    kinds = [(e.ref, e.payload["created"], e.payload["forced"], e.payload["deleted"]) for e in world.events]
    assert kinds == [
        ("refs/heads/topic", True, False, False),
        ("refs/heads/topic", False, True, False),
        ("refs/tags/v1", True, False, False),
        ("refs/heads/topic", False, False, True),
    ]
    assert world.events[2].changed_files == ()
    assert world.events[3].sha == ZERO


def test_events_of_a_workflows_token_are_marked(world: Any, clone: Any) -> None:
    """They start nothing on GitHub; an App's do."""
    clone.git("push", "--quiet", world.url(world.workflow(contents="write")), "main:one")
    app = world.token("fraudops[bot]", permissions={"contents": "write"}, repository="acme/fraud")
    clone.git("push", "--quiet", world.url(app), "main:two")
    assert [(e.actor, e.from_workflow_token) for e in world.events] == [
        ("github-actions[bot]", True),
        ("fraudops[bot]", False),
    ]


def test_listener_that_fails_does_not_fail_the_push(world: Any, clone: Any, caplog: Any) -> None:
    """The push is in; the failure is logged."""

    def fail(_: object) -> None:
        raise RuntimeError("no")

    world.github.on_event = fail
    sha = clone.commit({"a": "1"})
    clone.push("main")
    assert world.github.state.find("acme", "fraud").git.branch("main") == sha
    assert "the listener failed on push" in caplog.text


def test_listener_may_call_the_server_back(world: Any, clone: Any) -> None:
    """Events are delivered with no lock held, in order, also those that the listener causes."""
    seen: list[str] = []

    def listen(event: Any) -> None:
        seen.append(event.ref)
        if event.ref == "refs/heads/main":
            api = world.api()
            api.create_git_ref("refs/heads/made", event.sha)

    world.github.on_event = listen
    clone.commit({"a": "1"})
    clone.push("main")
    assert seen == ["refs/heads/main", "refs/heads/made"]


# -- races and protection


def test_one_of_two_racing_pushes_loses(world: Any, clone: Any) -> None:
    """Both start from the same commit; one lands, the other is told to fetch first, and there is one event."""
    results: list[subprocess.CompletedProcess[str]] = []
    clones = []
    for name in ("left", "right"):
        root = world.folder / name
        clone.git("clone", "--quiet", world.url(None), str(root))
        other = type(clone)(root, clone.url)
        other.commit({f"{name}.txt": name})
        clones.append(other)
    gate = threading.Barrier(2)

    def push(other: Any) -> None:
        gate.wait(timeout=10)
        results.append(other.push("main", check=False))

    threads = [threading.Thread(target=push, args=(other,)) for other in clones]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(done.returncode for done in results) == [0, 1]
    assert "rejected" in next(done.stderr for done in results if done.returncode)
    assert len(world.named("push")) == 1


def test_protected_branch_refuses_the_workflows_token(world: Any, clone: Any) -> None:
    """GH006, in GitHub's words, where changes must come by pull request; an administrator is spared."""
    repository = world.github.state.find("acme", "fraud")
    protect(repository, "main", required_pull_request_reviews={})
    clone.commit({"a": "1"})
    done = clone.git("push", world.url(world.workflow(contents="write")), "main", check=False)
    assert done.returncode == 1
    assert "GH006: Protected branch update failed for refs/heads/main." in done.stderr
    assert "Changes must be made through a pull request." in done.stderr
    assert world.events == []
    clone.push("main")
    protect(repository, "main", required_pull_request_reviews={}, enforce_admins=True)
    clone.commit({"a": "2"})
    assert clone.push("main", check=False).returncode == 1


def test_app_that_the_rule_names_pushes_to_a_protected_branch(world: Any, clone: Any) -> None:
    """A bypass actor; another App is not one."""
    allowed = {"bypass_pull_request_allowances": {"apps": ["fraudops"]}}
    protect(world.github.state.find("acme", "fraud"), "main", required_pull_request_reviews=allowed)
    clone.commit({"a": "1"})
    for login, code in (("other[bot]", 1), ("fraudops[bot]", 0)):
        token = world.token(login, permissions={"contents": "write"}, repository="acme/fraud")
        assert clone.git("push", world.url(token), "main", check=False).returncode == code


@pytest.mark.parametrize("refspec", ["+HEAD:release", ":release"])
def test_protected_branch_takes_no_forced_push_and_no_deletion(world: Any, clone: Any, refspec: str) -> None:
    """Not even an administrator's."""
    clone.push("main:release")
    protect(world.github.state.find("acme", "fraud"), "release", enforce_admins=False)
    clone.git("checkout", "--quiet", "--orphan", "fresh")
    clone.commit({"x": "1"})
    done = clone.push(refspec, check=False)
    assert done.returncode == 1
    assert "GH006" in done.stderr
    assert "this protected branch" in done.stderr


def test_required_status_opens_a_protected_branch(world: Any, clone: Any) -> None:
    """A push is refused until the commit has the status that the rule requires, wherever it was set."""
    repository = world.github.state.find("acme", "fraud")
    protect(repository, "main", required_status_checks={"strict": False, "contexts": ["fraudops/ci"]})
    sha = clone.commit({"a": "1"})
    token = world.workflow(contents="write", statuses="write")
    refused = clone.git("push", world.url(token), "main", check=False)
    assert 'Required status check "fraudops/ci" is expected.' in refused.stderr
    clone.git("push", "--quiet", world.url(token), "main:candidate")
    world.api(token).get_commit(sha).create_status("success", context="fraudops/ci")
    clone.git("push", "--quiet", world.url(token), "main")


def test_workflow_files_need_their_own_permission(world: Any, clone: Any) -> None:
    """GitHub lets no App change .github/workflows without `workflows`; a person may."""
    clone.commit({".github/workflows/ci.yml": "on: push\n"})
    done = clone.git("push", world.url(world.workflow(contents="write")), "main:topic", check=False)
    assert "without `workflows` permission" in done.stderr
    clone.push("main")


def test_pull_requests_refs_cannot_be_pushed_to(world: Any, clone: Any) -> None:
    """They are the server's own."""
    done = clone.push("main:refs/pull/9/head", check=False)
    assert done.returncode == 1
    assert "hidden ref" in done.stderr


def test_servers_stand_side_by_side_and_journal_what_they_knew(world: Any, clone: Any, tmp_path: Path) -> None:
    """Another instance knows nothing of this one; stop writes the records, without secrets, and the same ids again."""
    from local_github.server import LocalGitHub

    journals = []
    for name in ("a", "b"):
        with LocalGitHub(tmp_path / name) as other:
            made = other.create_repository("acme/fraud", seed=clone.root)
            made.secrets["KEY"] = "hidden-value"
            assert other.url != world.github.url
            assert made.git.branch("main")
        journals.append((tmp_path / name / "journal.json").read_text())
    assert "hidden-value" not in journals[0]
    assert journals[0].split('"created"')[0] == journals[1].split('"created"')[0]
