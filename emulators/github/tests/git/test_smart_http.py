"""Git over HTTP: clone, fetch, push, authentication, paths."""

from __future__ import annotations

import gzip
import http.client
import os
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from local_github.server import LocalGitHub


def test_public_repository_is_cloned_without_a_token(emulator: Any, clone: Any) -> None:
    """The clone is complete, and fsck finds no error."""
    target = emulator.folder / "copy"
    clone.git("clone", "--quiet", emulator.url(None), str(target))
    assert (target / "README.md").read_text() == "# Fraud\n"
    clone.git("-C", str(target), "fsck", "--strict")


def test_address_ignores_suffix_and_case(emulator: Any, clone: Any) -> None:
    """owner/name and OWNER/Name.git are the same repository."""
    for address in ("/acme/fraud", "/ACME/Fraud.git"):
        assert "refs/heads/main" in clone.git("ls-remote", emulator.github.url + address).stdout


def test_push_without_a_token_does_not_prompt(emulator: Any, clone: Any) -> None:
    """git fails instead of waiting for a user name."""
    process = clone.git("push", emulator.url(None), "main:other", check=False)
    assert process.returncode == 128
    assert "could not read Username" in process.stderr


def test_push_with_a_wrong_token_is_refused(emulator: Any, clone: Any) -> None:
    """git reports that authentication failed."""
    process = clone.git("push", emulator.url("ghp_wrong"), "main:other", check=False)
    assert process.returncode == 128
    assert "Authentication failed" in process.stderr


def test_revoked_token_is_refused(emulator: Any, clone: Any) -> None:
    """A push with the token fails after it is revoked."""
    token = emulator.workflow_token(contents="write")
    clone.git("push", "--quiet", emulator.url(token), "main:one")
    emulator.github.revoke(token)
    assert clone.git("push", emulator.url(token), "main:two", check=False).returncode == 128


@pytest.mark.parametrize("permissions", [{}, {"contents": "read"}, {"pull_requests": "write"}])
def test_push_needs_contents_write(emulator: Any, clone: Any, permissions: dict[str, str]) -> None:
    """A workflow token without it gets GitHub's message."""
    process = clone.git("push", emulator.url(emulator.workflow_token(**permissions)), "main:other", check=False)
    assert process.returncode == 128
    assert "Permission to acme/fraud.git denied to github-actions[bot]." in process.stderr
    assert emulator.events == []


def test_token_of_another_repository_cannot_push(emulator: Any, clone: Any) -> None:
    """A fork's token reads the parent but cannot write to it."""
    token = emulator.token("mallory", repository="mallory/fraud")
    clone.git("ls-remote", emulator.url(token))
    assert "denied to mallory" in clone.git("push", emulator.url(token), "main:other", check=False).stderr


def test_private_repository_is_hidden_without_access(emulator: Any, clone: Any) -> None:
    """No token is 401, another token is 404."""
    emulator.github.create_repository("acme/secret", private=True)
    anonymous = clone.git("ls-remote", emulator.url(None, "acme/secret"), check=False)
    stranger = clone.git(
        "ls-remote", emulator.url(emulator.token("eve", repository="eve/x"), "acme/secret"), check=False
    )
    assert anonymous.returncode == stranger.returncode == 128
    assert "not found" in stranger.stderr
    assert clone.git("ls-remote", emulator.url(emulator.token(), "acme/secret")).returncode == 0


def test_bearer_token_in_a_header_pushes(emulator: Any, clone: Any) -> None:
    """actions/checkout stores its token in http.extraheader."""
    header = f"http.extraheader=AUTHORIZATION: bearer {emulator.token()}"
    clone.git("-c", header, "push", "--quiet", emulator.url(None), "main:header")
    assert emulator.github.state.find("acme", "fraud").git.branch("header")


def test_chunked_push_is_received(emulator: Any, clone: Any) -> None:
    """git sends chunked bodies beyond http.postBuffer."""
    noise = os.urandom(300_000).hex()
    clone.git("config", "http.postBuffer", "65536")
    sha = clone.commit({"noise.txt": noise})
    clone.push("main")
    git = emulator.github.state.find("acme", "fraud").git
    assert git.branch("main") == sha
    assert git.show(sha, "noise.txt") == noise.encode()


def test_gzipped_request_is_received(emulator: Any, clone: Any) -> None:
    """git compresses long negotiations."""
    sha = emulator.github.state.find("acme", "fraud").git.branch("main")
    body = gzip.compress(f"0032want {sha}\n00000009done\n".encode())
    address = urlsplit(emulator.github.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    kind = "application/x-git-upload-pack"
    headers = {"Content-Type": f"{kind}-request", "Content-Encoding": "gzip"}
    connection.request("POST", "/acme/fraud.git/git-upload-pack", body, headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.getheader("Content-Type") == f"{kind}-result"
    assert b"PACK" in answer.read()
    connection.close()


def test_shallow_fetch_of_a_commit(emulator: Any, clone: Any) -> None:
    """actions/checkout fetches one SHA with depth 1."""
    sha = clone.git("rev-parse", "main").stdout.strip()
    target = emulator.folder / "shallow"
    clone.git("init", "--quiet", str(target))
    clone.git("-C", str(target), "fetch", "--quiet", "--depth=1", emulator.url(None), sha)
    assert clone.git("-C", str(target), "rev-parse", "FETCH_HEAD").stdout.strip() == sha


def test_dumb_protocol_is_not_served(emulator: Any, clone: Any) -> None:
    """No file of a bare repository is served by its name."""
    for path in ("/acme/fraud.git/HEAD", "/acme/fraud.git/config", "/acme/fraud.git/objects/info/packs"):
        assert fetch(emulator, path)[0] == 404
    assert fetch(emulator, "/acme/fraud.git/info/refs")[0] == 403


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
def test_paths_cannot_leave_repositories(emulator: Any, clone: Any, path: str) -> None:
    """A path names a known repository and a path in one of its trees, or is 404."""
    status, body = fetch(emulator, path)
    assert status in {401, 404}
    assert b"root:" not in body


def fetch(emulator: Any, path: str, host: str | None = None) -> tuple[int, bytes]:
    """Sends a GET request without normalising the path."""
    address = urlsplit(emulator.github.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host or address.netloc)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_unknown_host_names_are_refused(emulator: Any, clone: Any) -> None:
    """This prevents DNS rebinding."""
    assert fetch(emulator, "/", "evil.example.invalid")[0] == 421
    assert fetch(emulator, "/", "localhost")[0] == 200


def test_one_of_two_racing_pushes_is_rejected(emulator: Any, clone: Any) -> None:
    """Only one push emits an event."""
    results: list[subprocess.CompletedProcess[str]] = []
    clones = []
    for name in ("left", "right"):
        root = emulator.folder / name
        clone.git("clone", "--quiet", emulator.url(None), str(root))
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
    assert sorted(process.returncode for process in results) == [0, 1]
    assert "rejected" in next(process.stderr for process in results if process.returncode)
    assert len(emulator.named("push")) == 1


def test_pull_request_refs_cannot_be_pushed(emulator: Any, clone: Any) -> None:
    """refs/pull is hidden from pushes."""
    process = clone.push("main:refs/pull/9/head", check=False)
    assert process.returncode == 1
    assert "hidden ref" in process.stderr


def test_servers_are_independent_and_write_a_journal(emulator: Any, clone: Any, tmp_path: Path) -> None:
    """The journal contains no secret values, and equal calls give equal ids."""
    journals = []
    for name in ("a", "b"):
        with LocalGitHub(tmp_path / name) as other:
            repository = other.create_repository("acme/fraud", seed=clone.root)
            repository.secrets["KEY"] = "hidden-value"
            assert other.url != emulator.github.url
            assert repository.git.branch("main")
        journals.append((tmp_path / name / "journal.json").read_text())
    assert "hidden-value" not in journals[0]
    assert journals[0].split('"created"')[0] == journals[1].split('"created"')[0]


def test_restarted_server_uses_existing_repositories(clone: Any, tmp_path: Path) -> None:
    """A repository with the same name keeps its commits; the records start empty."""
    with LocalGitHub(tmp_path / "again") as first:
        first.create_repository("acme/fraud", seed=clone.root)
    with LocalGitHub(tmp_path / "again") as second:
        repository = second.create_repository("acme/fraud")
        assert repository.git.branch("main") == clone.git("rev-parse", "main").stdout.strip()
        assert repository.issues == {}
