"""The report of `make permissions`: what each role may do, did, and never did, over all runs; not a test itself.

The runs are those of the demo and of the tests of failures. Each role and shared policy has its statements with the
used actions and the never used ones, whose justification is the template's comment; its denied calls, which are those
that tests make on purpose; and the test that fails without each statement.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local_aws.authorization import usage
from local_aws.authorization.deployed_policies import POLICIES
from local_aws.errors import EmulatorError

from tests.harness.platform import permissions


def of_runs(base: Path) -> str:
    """The report as JSON, of every emulator that stopped below `base`.

    Raises:
        EmulatorError: there is none.
    """
    found = {path.parents[1].resolve() for path in base.rglob(POLICIES)}
    folders = sorted(folder for folder in found if (folder / usage.DECISIONS).is_file())
    if not folders:
        raise EmulatorError(f"{base}: no emulator has stopped below it, so there are no permissions to report")
    document: dict[str, Any] = json.loads(usage.report(*folders, named=permissions.owner_name).as_json())
    tests = {**permissions.USED_BY, **permissions.KEYED_BY, **permissions.DENIED_BY}
    document["runs"] = len(folders)
    document["fails_without"] = [
        {"owner": owner, "sid": sid, "test": test} for (owner, sid), test in sorted(tests.items())
    ]
    return json.dumps(document, indent=1) + "\n"
