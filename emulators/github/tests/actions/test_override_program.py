"""The action overrides, run by workflows."""

from __future__ import annotations

import pytest
from actions_emulator import CHECKOUT, ActionsEmulator
from local_github.actions import override_program


def test_checkout_keeps_credentials_only_if_persisted(emulator: ActionsEmulator) -> None:
    """persist-credentials: false removes the header, so a push fails; path, ref and depth are applied."""
    emulator.push({"a.txt": "one\n"})
    emulator.push({"a.txt": "two\n"}, branch="side")
    emulator.git("reset", "--quiet", "--hard", "HEAD~1")
    steps = f"""
      - uses: {CHECKOUT}
        with: {{persist-credentials: false, path: quiet, ref: side, fetch-depth: 0}}
      - run: |
          cat quiet/a.txt && git -C quiet rev-list --count HEAD && git -C quiet branch --show-current
          ! grep -ri authorization quiet/.git
          ! git -C quiet push -q origin HEAD:refs/heads/new 2> error.txt && grep -qiE 'auth|username|403|401' error.txt
      - uses: {CHECKOUT}
        with: {{path: loud}}
      - run: cat loud/a.txt && git -C loud rev-list --count HEAD && git -C loud push -q origin HEAD:refs/heads/new
"""
    emulator.workflow(
        "name: x\non: workflow_dispatch\npermissions: {contents: write}\n"
        f"jobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}"
    )
    emulator.dispatch()
    run = emulator.last_run()
    assert run.conclusion == "success", run.log
    assert "two\n2\nside\n" in run.log
    assert "one\n1\n" in run.log
    assert emulator.git("ls-remote", "origin", "refs/heads/new")


def test_checkout_has_the_objects_that_its_depth_gives(emulator: ActionsEmulator) -> None:
    """With the whole history every commit is there without a copy, and can be pushed on; depth 1 has one commit."""
    first = emulator.push({"a.txt": "one\n"})
    emulator.push({"a.txt": "two\n"})
    steps = f"""
      - uses: {CHECKOUT}
        with: {{fetch-depth: 0, path: whole}}
      - run: |
          cd whole && git rev-list --count HEAD && git cat-file -p {first}:a.txt
          test -z "$(find .git/objects -name '*.pack')"
          echo three > a.txt && git -c user.name=a -c user.email=a@b.c commit -qam Three && git push -q origin HEAD:side
      - uses: {CHECKOUT}
        with: {{path: shallow}}
      - run: cd shallow && git rev-list --count HEAD && ! git cat-file -e {first} && git fsck --no-dangling
"""
    emulator.workflow(
        "name: x\non: workflow_dispatch\npermissions: {contents: write}\n"
        f"jobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}"
    )
    emulator.dispatch()
    run = emulator.last_run()
    assert run.conclusion == "success", run.log
    assert "3\none\n" in run.log
    assert "\n1\n" in run.log
    emulator.git("fetch", "--quiet", "origin", "side")
    assert emulator.git("show", "FETCH_HEAD:a.txt") == "three"


def test_checkout_of_the_whole_history_needs_a_token(emulator: ActionsEmulator) -> None:
    """That its objects are read where they are gives nobody access."""
    emulator.push({"a.txt": "one\n"})
    emulator.workflow(
        "name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:\n"
        f"      - uses: {CHECKOUT}\n        with: {{fetch-depth: 0, token: wrong}}\n"
    )
    emulator.dispatch()
    assert emulator.last_run().conclusion == "failure"


def test_cache_is_restored_by_key_and_prefix(emulator: ActionsEmulator) -> None:
    """Saved paths are restored in another run; paths in the tool cache persist without saving."""
    cache = "27d5ce7f107fe9357f9df03efb73ab90386fccae"
    steps = f"""
      - id: tools
        uses: actions/cache@{cache}
        with: {{path: "${{{{ runner.tool_cache }}}}/tools/k1", key: env-k1}}
      - id: data
        uses: actions/cache/restore@{cache}
        with: {{path: data, key: "data-${{{{ github.run_number }}}}", restore-keys: data-}}
      - run: |
          echo "tools=[${{{{ steps.tools.outputs.cache-hit }}}}]"
          echo "data=[${{{{ steps.data.outputs.cache-matched-key }}}}] $(cat data/a.txt 2>/dev/null)"
          mkdir -p "$RUNNER_TOOL_CACHE/tools/k1" data
          touch "$RUNNER_TOOL_CACHE/tools/k1/python"
          echo $GITHUB_RUN_NUMBER > data/a.txt
      - uses: actions/cache/save@{cache}
        with: {{path: data, key: "data-${{{{ github.run_number }}}}"}}
"""
    emulator.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}")
    for expected in ("tools=[]\ndata=[] ", "tools=[true]\ndata=[data-1] 1"):
        run = emulator.dispatch()
        emulator.finished_runs()
        assert run.conclusion == "success", run.log
        assert expected in run.log, run.log
    assert (emulator.actions.tool_cache / "tools" / "k1" / "python").exists()


def test_setup_python_puts_the_version_on_path(emulator: ActionsEmulator) -> None:
    """The version comes from an input or a file; a version that is not installed fails the step."""
    emulator.push({".python-version": "3.11\n"})
    action = "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97"
    steps = f"""
      - uses: {CHECKOUT}
      - uses: {action}
        with: {{python-version-file: .python-version}}
      - run: python -c 'import sys; print(sys.version_info[:2], sys.prefix == sys.base_prefix)'
      - uses: {action}
        with: {{python-version: "2.6"}}
"""
    emulator.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}")
    run = emulator.dispatch()
    emulator.finished_runs()
    assert "(3, 11) True" in run.log
    assert run.conclusion == "failure"
    assert "'2.6' of Python was not found" in run.job("one").annotations[0].message


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("3.11.7", "3.11", True),
        ("3.11.7", "3.11.7", True),
        ("3.11.7", "3.1", False),
        ("3.12.0", ">=3.11,<3.14", True),
        ("3.14.0", ">=3.11,<3.14", False),
        ("3.10.9", ">=3.11", False),
        ("3.13.5", "", True),
    ],
)
def test_python_version_matches_version_or_bounds(version: str, wanted: str, fits: bool) -> None:
    """Both forms of python-version and requires-python are compared."""
    assert override_program.matches_version(version, wanted) is fits


PAGES = "actions/deploy-pages@cd2ce8fcbc39b97be8ca5fce6e763baed58fa128"


@pytest.mark.parametrize(
    ("prepare", "conclusion", "said"),
    [
        ("mkdir site && echo hello > site/index.html && tar -cf artifact.tar -C site .", "success", "1 file(s) would"),
        ("mkdir site && ln -s /etc/passwd site/link && tar -cf artifact.tar -C site .", "failure", "./link"),
        ("echo hello > artifact.txt", "failure", "with an artifact.tar"),
    ],
)
def test_deploy_pages_checks_its_artifact(emulator: ActionsEmulator, prepare: str, conclusion: str, said: str) -> None:
    """One tar of files and folders is accepted, and its address is an output; links and other files are refused."""
    emulator.workflow(
        f"""name: x
on: workflow_dispatch
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: {prepare}
      - uses: actions/upload-artifact@043fb46d1a93c77aae656e7c1c64a875d1fc6a0a
        with: {{name: github-pages, path: "artifact.*"}}
  publish:
    needs: build
    runs-on: ubuntu-latest
    permissions: {{pages: write, id-token: write}}
    steps:
      - id: deploy
        uses: {PAGES}
      - env: {{ADDRESS: "${{{{ steps.deploy.outputs.page_url }}}}"}}
        run: echo "at $ADDRESS"
"""
    )
    emulator.dispatch()
    run = emulator.last_run()
    assert run.conclusion == conclusion, run.log
    assert said in run.log
    assert ("at https://" in run.log) == (conclusion == "success")


@pytest.mark.parametrize(
    ("permissions", "digest", "conclusion", "said"),
    [
        ("id-token: write, attestations: write", f"sha256:{'a' * 64}", "success", "r/image@sha256:aaaa"),
        ("id-token: write, attestations: write", "latest", "failure", "(got 'r/image' and 'latest')"),
        ("contents: read", f"sha256:{'a' * 64}", "failure", 'missing "id-token" permission'),
    ],
)
def test_attestation_checks_its_subject_and_the_jobs_permission(
    emulator: ActionsEmulator, permissions: str, digest: str, conclusion: str, said: str
) -> None:
    """The statement names the digest; a tag, or a job without a token of its own, is refused."""
    emulator.workflow(
        f"""name: x
on: workflow_dispatch
jobs:
  one:
    runs-on: ubuntu-latest
    permissions: {{{permissions}}}
    steps:
      - id: attest
        uses: actions/attest-build-provenance@a2bbfa25375fe432b6a289bc6b6cd05ecd0c4c32
        with: {{subject-name: r/image, subject-digest: "{digest}"}}
      - env: {{BUNDLE: "${{{{ steps.attest.outputs.bundle-path }}}}"}}
        run: cat "$BUNDLE"
"""
    )
    emulator.dispatch()
    run = emulator.last_run()
    assert run.conclusion == conclusion, run.log
    assert said in run.log
    assert ('"sha256": "aaaa' in run.log) == (conclusion == "success")
