"""Waits for its local cloud to be gone, then ends what the cloud started: `python -m local_aws.orphan_reaper FOLDER`.

Standard input says which process groups live (`+PID`, `-PID`, one a line). Its end means that the cloud has stopped,
in good order or not.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from local_aws.child_processes import end_strays


def main() -> None:
    """Follows standard input to its end, then kills whatever is still listed or belongs to the folder."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the cloud's end may end it
    alive: set[int] = set()
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            alive.add(pid)
        else:
            alive.discard(pid)
    for _ in range(10):  # what is killed may have been starting something
        if not end_strays(Path(sys.argv[1]), sorted(alive)):
            break
        alive = set()


if __name__ == "__main__":
    main()
