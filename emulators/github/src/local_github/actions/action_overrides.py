"""Which third-party actions a checkout needs, and the stand-ins that act gets in their place.

A stand-in is a composite action under `overrides/<owner>/<action>/`, whatever version or SHA is asked for: it does on a
laptop what the action does on GitHub. What has no stand-in, or passes it an input that it lacks, is refused before
anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_github.actions.workflow_file import Workflow, WorkflowInvalid, load_yaml

STAND_INS = Path(__file__).parent / "overrides"
_REMOTE = re.compile(r"(?P<action>[\w.-]+/[\w.-]+)(?P<folder>(?:/[\w.-]+)*)@(?P<ref>[\w./-]+)\Z")


@dataclass(frozen=True, kw_only=True)
class Use:
    """One `uses:` of an action of another repository, with the inputs that it is given."""

    action: str
    folder: str
    ref: str
    inputs: frozenset[str]
    where: str


def third_party(workflow: Workflow, checkout: Path) -> list[Use]:
    """Every use in `workflow` and, however deep, in the actions of `checkout` that it uses.

    Raises:
        WorkflowInvalid: a local action is missing or no composite, or `uses:` cannot be read.
    """
    found: list[Use] = []
    seen: set[Path] = set()
    for job in workflow.jobs:
        found += _follow(job.steps(), f"{workflow.path}: job {job.id}", checkout, seen)
    return found


def _follow(steps: Iterable[Mapping[str, Any]], where: str, checkout: Path, seen: set[Path]) -> Iterator[Use]:
    for step in steps:
        text = step.get("uses")
        if text is None:
            continue
        if str(text).startswith("./"):
            folder = (checkout / text).resolve()
            if folder not in seen:
                seen.add(folder)
                yield from _follow(_local(folder, checkout, f"{where}: uses {text}"), text, checkout, seen)
            continue
        parts = _REMOTE.match(str(text))
        if parts is None:
            raise WorkflowInvalid(f"{where}: uses {text!r} is neither ./a/folder nor owner/action@version")
        inputs = frozenset(str(name) for name in step.get("with") or {})
        yield Use(
            action=parts["action"], folder=parts["folder"].strip("/"), ref=parts["ref"], inputs=inputs, where=where
        )


def _local(folder: Path, checkout: Path, where: str) -> list[Mapping[str, Any]]:
    if not folder.is_relative_to(checkout.resolve()):
        raise WorkflowInvalid(f"{where}: lies outside the repository")
    for name in ("action.yml", "action.yaml"):
        if (folder / name).is_file():
            runs = load_yaml((folder / name).read_text(encoding="utf-8"), where).get("runs") or {}
            if runs.get("using") != "composite":
                raise WorkflowInvalid(f"{where}: only composite actions run locally (got {runs.get('using')!r})")
            return list(runs.get("steps") or ())
    raise WorkflowInvalid(f"{where}: has no action.yml")


def replacements(uses: Iterable[Use], stand_ins: Path = STAND_INS) -> dict[str, Path]:
    """`owner/action@ref` → the folder of its stand-in.

    Raises:
        WorkflowInvalid: an action or one of the inputs it is given has no stand-in.
    """
    found: dict[str, Path] = {}
    for use in uses:
        name = f"{use.action}/{use.folder}".rstrip("/")
        file = stand_ins / name / "action.yml"
        if not file.is_file():
            raise WorkflowInvalid(f"{use.where}: no local stand-in for {name}@{use.ref}; there should be {file}")
        known = load_yaml(file.read_text(encoding="utf-8"), str(file)).get("inputs") or {}
        if lacking := sorted(use.inputs - set(known)):
            raise WorkflowInvalid(f"{use.where}: the local stand-in for {name} has no input {', '.join(lacking)}")
        found[f"{use.action}@{use.ref}"] = stand_ins / use.action
    return found
