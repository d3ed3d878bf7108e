"""actions/cache: what is saved, and which refs may restore it."""

from __future__ import annotations

from actions_emulator import ActionsEmulator
from local_github.actions.run_records import Run

CACHE = "actions/cache@27d5ce7f107fe9357f9df03efb73ab90386fccae"


def workflow(*, key: str = "k-${{ github.run_number }}", ending: str = "true", on: str = "workflow_dispatch") -> str:
    """A workflow that prints what it restored, then writes the number of the run."""
    return f"""name: x
on: {on}
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - id: c
        uses: {CACHE}
        with: {{path: data, key: "{key}", restore-keys: k-}}
      - run: |
          echo "hit=[${{{{ steps.c.outputs.cache-hit }}}}] had=[$(cat data/a.txt 2>/dev/null)]"
          mkdir -p data && echo "$GITHUB_REF_NAME $GITHUB_RUN_NUMBER" > data/a.txt
      - run: {ending}
"""


def run_on(emulator: ActionsEmulator, ref: str = "main") -> Run:
    """Runs the workflow on a branch."""
    run = emulator.actions.dispatch("acme/model", "x.yml", ref, {}, actor="alice")
    emulator.finished_runs()
    return run


def test_cache_is_saved_at_the_end_of_a_successful_job(emulator: ActionsEmulator) -> None:
    """The next run restores it by a prefix and saves its own; a hit of the exact key saves nothing."""
    emulator.workflow(workflow())
    for expected in ("hit=[] had=[]", "hit=[false] had=[main 1]", "hit=[false] had=[main 2]"):
        run = run_on(emulator)
        assert expected in run.log, run.log
        assert f"Cache saved with key: k-{run.number}" in run.log
        assert [step.name for step in run.jobs[0].steps][-1] == "Complete job"
    emulator.workflow(workflow(key="k-1"))
    run = run_on(emulator)
    assert "hit=[true] had=[main 1]" in run.log
    assert "Cache saved" not in run.log


def test_cache_of_a_failed_job_is_not_saved(emulator: ActionsEmulator) -> None:
    """The post step of actions/cache runs only after success."""
    emulator.workflow(workflow(ending="exit 1"))
    assert "Cache saved" not in run_on(emulator).log
    assert "had=[]" in run_on(emulator).log


def test_cache_of_a_branch_is_hidden_from_others(emulator: ActionsEmulator) -> None:
    """A branch restores its own caches first, then those of the default branch, but not those of another branch."""
    emulator.workflow(workflow())
    emulator.git("push", "--quiet", "origin", "HEAD:refs/heads/a", "HEAD:refs/heads/b")
    assert "had=[]" in run_on(emulator, "a").log
    assert "had=[]" in run_on(emulator, "b").log
    assert "had=[]" in run_on(emulator, "main").log
    emulator.git("push", "--quiet", "origin", "HEAD:refs/heads/c")
    assert "had=[main 3]" in run_on(emulator, "c").log
    assert "had=[a 1]" in run_on(emulator, "a").log


def test_pull_request_restores_the_base_and_saves_for_itself(emulator: ActionsEmulator) -> None:
    """Its cache belongs to the merge ref, so that main does not restore what a pull request wrote."""
    emulator.workflow(workflow(on="[workflow_dispatch, pull_request]"))
    run_on(emulator)
    emulator.push({"b": "1"}, "Side", branch="side")
    emulator.open_pull_request("side")
    run = emulator.last_run()
    assert "had=[main 1]" in run.log
    assert "Cache saved with key: k-2" in run.log
    assert "had=[main 1]" in run_on(emulator).log


def test_other_paths_are_another_version(emulator: ActionsEmulator) -> None:
    """A cache is found only with the same paths; a missing path is a warning, and a key with a comma is an error."""
    emulator.workflow(workflow())
    run_on(emulator)
    emulator.workflow(workflow().replace("path: data", "path: other"))
    run = run_on(emulator)
    assert "hit=[] had=[]" in run.log
    assert "Path(s) specified in the action for caching do(es) not exist" in run.log
    emulator.workflow(workflow(key="a,b"))
    assert "Key Validation Error: a,b" in run_on(emulator).job("one").annotations[0].message


def test_cache_in_a_local_action_is_saved(emulator: ActionsEmulator) -> None:
    """Composite actions of the repository use actions/cache as well."""
    action = f"""
runs:
  using: composite
  steps:
    - uses: {CACHE}
      with: {{path: data, key: local}}
"""
    emulator.push({".github/actions/setup/action.yml": action}, "Add [skip ci]")
    checkout = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
    emulator.workflow(f"""name: x
on: workflow_dispatch
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - uses: {checkout}
      - uses: ./.github/actions/setup
      - run: echo "had=[$(cat data/a.txt 2>/dev/null)]"; mkdir -p data; echo kept > data/a.txt
""")
    assert "had=[]" in run_on(emulator).log
    assert "had=[kept]" in run_on(emulator).log
