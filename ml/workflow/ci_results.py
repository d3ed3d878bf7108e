"""Decides whether the results of ci.yml's jobs count as passed. Reads and posts nothing but FRAUDOPS_SUITE.

A skipped job counts as passed only if it was meant to be skipped; GitHub counts every skipped check as a success.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

ALWAYS = ("changes", "validate")
TESTS = ("suite", "packages", "dependencies")
ON_CODE = (*TESTS, "templates", "audit")
"""Jobs that are skipped if only model-config/ changed."""
ON_PULL_REQUESTS = ("plan",)


def problems(needs: Mapping[str, Mapping[str, Any]], *, event: str, about_pull_request: bool) -> dict[str, str]:
    """The reason for each job that does not count as passed, by name; empty if all do."""
    outputs = needs.get("changes", {}).get("outputs") or {}
    may_skip: set[str] = set()
    # Without the output of `changes`, no job may be skipped.
    if outputs.get("code") == "false":
        may_skip.update(ON_CODE)
    may_skip.update({"skip": TESTS, "off": ON_CODE}.get(os.environ.get("FRAUDOPS_SUITE", ""), ()))
    if event in ("push", "merge_group") or not about_pull_request:
        may_skip.update(ON_PULL_REQUESTS)
    wrong = {}
    for name, job in needs.items():
        result = job.get("result")
        if result == "success" or (result == "skipped" and name in may_skip):
            continue
        wrong[name] = "was skipped but had to run" if result == "skipped" else f"ended as {result}"
    for name in {*ALWAYS, *ON_CODE, *ON_PULL_REQUESTS} - set(needs):
        wrong[name] = "is not among the jobs whose results were reported"
    return wrong
