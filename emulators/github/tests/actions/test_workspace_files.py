"""The files of an ended job's workspace, which the next checkout uses."""

from __future__ import annotations

from pathlib import Path

from actions_emulator import CHECKOUT, ActionsEmulator
from local_github.actions import workspace_files
from local_github.actions.run_records import Run

_FILES = {
    ".gitignore": "*.log\n",
    "same.txt": "same\n",
    "code/changed.txt": "one\n",
    "code/edited.txt": "committed\n",
    "code/linked.txt": "committed\n",
    "code/deleted.txt": "committed\n",
    "folder/moved.txt": "committed\n",
}
_SPOIL = """
          echo edited > code/edited.txt; ln -sf /etc/hosts code/linked.txt
          rm code/deleted.txt; chmod +x code/changed.txt
          mv folder other; ln -s other folder; mkdir -p code/new/deep; echo x > code/new/deep/a.txt; echo x > code/a.log
          mkdir -p code/__pycache__; echo x > code/__pycache__/a.log; echo x > untracked.txt
          git update-index --assume-unchanged code/edited.txt; git config core.fileMode false"""


def _workflow(steps: str, more: str = "") -> str:
    return f"""name: x
on: workflow_dispatch
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - uses: {CHECKOUT}
        with: {{{more}}}
      - run: |
          echo "file=$(stat -c "%i %y" same.txt)"
          echo "status=[$(git status --porcelain --ignored)]"
          echo "mode=$(stat -c %A code/changed.txt) changed=$(cat code/changed.txt) edited=$(cat code/edited.txt)"
          test ! -L code/linked.txt && test ! -L folder && cat folder/moved.txt{steps}
"""


def _run(emulator: ActionsEmulator) -> Run:
    emulator.dispatch()
    run = emulator.last_run()
    assert "status=[]" in run.log
    assert "mode=-rw-r--r--" in run.log
    assert "edited=committed" in run.log
    return run


def _file(run: Run) -> str:
    return next(line.partition("=")[2] for line in run.log.splitlines() if "file=" in line)


def test_checkout_restores_what_an_earlier_job_changed(emulator: ActionsEmulator) -> None:
    """Edits, links, deletions, modes, untracked and ignored files are gone; an equal file is the earlier job's."""
    emulator.push(_FILES)
    emulator.workflow(_workflow(_SPOIL))
    first = _run(emulator)
    assert (first.conclusion, "changed=one" in first.log) == ("success", True)
    emulator.push({"code/changed.txt": "two\n"}, "Change it [skip ci]")
    second = _run(emulator)
    assert (second.conclusion, "changed=two" in second.log) == ("success", True)
    assert _file(second) == _file(first)


def test_checkout_without_clean_gets_no_file_of_an_earlier_job(emulator: ActionsEmulator) -> None:
    """`clean: false` keeps files of the same job only."""
    emulator.push(_FILES)
    for _ in range(2):
        emulator.workflow(_workflow(_SPOIL, "clean: false"))
        assert _run(emulator).conclusion == "success"


def test_failed_job_keeps_no_files(emulator: ActionsEmulator) -> None:
    """Only a job that succeeds keeps the files of its workspace."""
    emulator.push(_FILES)
    emulator.workflow(_workflow("\n          exit 3"))
    assert _run(emulator).conclusion == "failure"
    assert not list(emulator.folder.glob("actions/workspaces/*/*/*"))


def test_publish_keeps_a_limited_number(tmp_path: Path) -> None:
    """Beyond the limit the files stay in the job's folder, which is removed."""
    folder = tmp_path / "workspaces"
    for number in range(6):
        work = tmp_path / f"work{number}"
        kept = Path(workspace_files.variables(work, folder)["LOCAL_GITHUB_KEPT_FILES"])
        kept.mkdir(parents=True)
        workspace_files.publish(work, folder)
    assert len(list(folder.iterdir())) == 4
    assert [(tmp_path / f"work{number}/kept_files").exists() for number in (3, 4, 5)] == [False, True, True]
