"""Children end with their descendants, and orphans are found by their environment."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
from local_aws.processes.child_processes import INSTANCE_VARIABLE, ChildProcesses, end_orphans


def test_ending_a_child_ends_its_descendants(tmp_path: Path) -> None:
    """A child that ignores SIGTERM, and its own child, have ended after the grace period."""
    processes = ChildProcesses(tmp_path)
    code = """if True:
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("on", flush=True)
        time.sleep(600)
    """
    child = processes.start(
        [sys.executable, "-c", code], cwd=tmp_path, environment=dict(os.environ), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    assert len(family) == 2
    processes.end(child, grace_seconds=0.1)
    child.stdout.close()
    psutil.wait_procs(family, timeout=5)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    processes.close()


def test_orphans_are_found_by_their_environment_alone(tmp_path: Path) -> None:
    """A process that only works in the folder is not killed; a marked one is."""
    plain = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=tmp_path)
    marked = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, INSTANCE_VARIABLE: str(tmp_path)}
    )
    try:
        reaper = threading.Thread(target=marked.wait)
        reaper.start()
        assert end_orphans(tmp_path) == [marked.pid]
        reaper.join(5)
        assert plain.poll() is None
    finally:
        for process in (plain, marked):
            process.kill()
            process.wait()
