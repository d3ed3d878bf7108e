"""Waits for its emulator to end, then kills what the emulator started: `python -m …orphan_reaper FOLDER`.

Standard input lists the running process groups (`+PID`, `-PID`, one per line). End of file means that the emulator
has ended, normally or not.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from local_aws.processes.child_processes import end_orphans

_ROUNDS = 10  # a process may start another one while it is being killed


def main() -> None:
    """Reads standard input to its end, then kills every process that is still listed or belongs to the folder."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the emulator may end the reaper
    running: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            running.add(pid)
        else:
            running.discard(pid)
    for _ in range(_ROUNDS):
        if not end_orphans(Path(sys.argv[1]), sorted(running)):
            break
        running = set()


if __name__ == "__main__":
    main()
