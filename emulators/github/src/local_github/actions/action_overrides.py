"""Finds the third-party actions that a workflow uses and the overrides that act runs instead.

An override is a composite action under `overrides/<owner>/<action>/`, used for every version: it does locally what the
action does on GitHub. A workflow that uses an action without an override, or passes an input that the override lacks,
is refused before it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_github.actions.expression_rewriter import missing_members
from local_github.actions.workflow_file import Workflow, WorkflowInvalid, load_yaml

OVERRIDES = Path(__file__).parent / "overrides"
_REMOTE = re.compile(r"(?P<action>[\w.-]+/[\w.-]+)(?P<folder>(?:/[\w.-]+)*)@(?P<ref>[\w./-]+)\Z")


@dataclass(frozen=True, kw_only=True)
class ActionUse:
    """One `uses:` of an action of another repository, with the names of its inputs."""

    action: str
    folder: str
    ref: str
    inputs: frozenset[str]
    where: str


def find_action_uses(workflow: Workflow, checkout: Path) -> list[ActionUse]:
    """All uses in `workflow` and, recursively, in the local actions of `checkout` that it uses.

    Raises:
        WorkflowInvalid: a local action is missing, not composite or reads what act leaves empty, or `uses:` is
            malformed.
    """
    found: list[ActionUse] = []
    seen: set[Path] = set()
    for job in workflow.jobs:
        found += _follow(job.steps(), f"{workflow.path}: job {job.id}", checkout, seen)
    return found


def _follow(steps: Iterable[Mapping[str, Any]], where: str, checkout: Path, seen: set[Path]) -> Iterator[ActionUse]:
    for step in steps:
        text = step.get("uses")
        if text is None:
            continue
        if str(text).startswith("./"):
            folder = (checkout / text).resolve()
            if folder not in seen:
                seen.add(folder)
                yield from _follow(_local_action_steps(folder, checkout, f"{where}: uses {text}"), text, checkout, seen)
            continue
        parts = _REMOTE.match(str(text))
        if parts is None:
            raise WorkflowInvalid(f"{where}: uses {text!r} is neither ./a/folder nor owner/action@version")
        inputs = frozenset(str(name) for name in step.get("with") or {})
        yield ActionUse(
            action=parts["action"], folder=parts["folder"].strip("/"), ref=parts["ref"], inputs=inputs, where=where
        )


def _local_action_steps(folder: Path, checkout: Path, where: str) -> list[Mapping[str, Any]]:
    if not folder.is_relative_to(checkout.resolve()):
        raise WorkflowInvalid(f"{where}: is outside the repository")
    for name in ("action.yml", "action.yaml"):
        if (folder / name).is_file():
            runs = load_yaml((folder / name).read_text(encoding="utf-8"), where).get("runs") or {}
            if missing := missing_members(runs):
                raise WorkflowInvalid(
                    f"{where}: act leaves {', '.join(missing)} empty in local actions: hand the value in as an input"
                )
            if runs.get("using") != "composite":
                raise WorkflowInvalid(
                    f"{where}: only composite local actions are supported (got {runs.get('using')!r})"
                )
            return list(runs.get("steps") or ())
    raise WorkflowInvalid(f"{where}: has no action.yml")


def resolve_overrides(uses: Iterable[ActionUse], overrides: Path = OVERRIDES) -> dict[str, Path]:
    """`owner/action@ref` → the folder of its override.

    Raises:
        WorkflowInvalid: there is no override for an action, or the override lacks an input.
    """
    found: dict[str, Path] = {}
    for use in uses:
        name = f"{use.action}/{use.folder}".rstrip("/")
        file = overrides / name / "action.yml"
        if not file.is_file():
            raise WorkflowInvalid(f"{use.where}: no action override for {name}@{use.ref} (expected {file})")
        known = load_yaml(file.read_text(encoding="utf-8"), str(file)).get("inputs") or {}
        if unknown := sorted(use.inputs - set(known)):
            raise WorkflowInvalid(f"{use.where}: the action override for {name} has no input {', '.join(unknown)}")
        found[f"{use.action}@{use.ref}"] = overrides / use.action
    return found
