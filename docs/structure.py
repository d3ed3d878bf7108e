"""Reads the structure of the code: the imports of each module, the imports that the rules allow, and import circles.

The rules are docs/import_rules.yaml. `python docs/structure.py` writes what is made from them: the table of folders in
CONTRIBUTING.md and the picture docs/imports.svg; it also writes docs/cost.md from docs/cost.yaml. Nothing of the
project is imported or run.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RULES_FILE = ROOT / "docs/import_rules.yaml"
SOURCES = {"ml": ROOT, "deploy_model": ROOT / "infra", "serving": ROOT / "infra"}
SOURCES |= {f"local_{name}": ROOT / f"emulators/{name}/src" for name in ("aws", "github")}
"""Top-level package → the folder that holds it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What one folder may import."""

    folder: str
    layer: int
    """1 is the lowest; 0 outside ml/."""
    purpose: str
    modules: frozenset[str]
    """Modules and packages of the project, itself included, by dotted name."""
    packages: frozenset[str] | None
    """Third-party packages; None for any."""
    listed: tuple[str, ...]
    """The folders as the rules name them."""


def rules() -> list[Rule]:
    """The rules in the order of the layers, top first."""
    document = yaml.safe_load(RULES_FILE.read_text("utf-8"))
    return [_rule(folder, entry) for folder, entry in document.items()]


def _rule(folder: str, entry: Mapping[str, Any]) -> Rule:
    named = tuple(entry["folders"])
    modules = {package_of(folder)}
    modules |= {f"ml.{name}" for name in named}
    return Rule(
        folder=folder,
        layer=entry.get("layer", 0),
        purpose=entry["is"],
        modules=frozenset(modules),
        packages=None if entry["packages"] == "any" else frozenset(entry["packages"]),
        listed=named,
    )


def package_of(folder: str) -> str:
    """The dotted name of a folder: `ml.model` of ml/model, `local_aws` of emulators/aws/src/local_aws."""
    return folder.replace("/", ".") if folder.startswith("ml/") else folder.rsplit("/", 1)[-1]


@cache
def modules(package: str) -> dict[str, Path]:
    """Every module of a top-level package by its dotted name, packages included."""
    source = SOURCES[package]
    found = {}
    for path in sorted((source / package).rglob("*.py")):
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every name that the file imports, wherever the import is: at the top, in a function, under TYPE_CHECKING.

    A file is read once per process.

    Raises:
        ValueError: an import is relative.
    """
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: imports are absolute in this project")
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def graph(package: str) -> dict[str, set[str]]:
    """Which modules of a top-level package each of its modules imports."""
    known = modules(package)
    return {
        name: {found for each in imports(path) if (found := _module(each, known)) and found != name}
        for name, path in known.items()
    }


def _module(name: str, known: Mapping[str, Path]) -> str | None:
    """The module that an imported name is, or is defined in; None outside the package."""
    for candidate in (name, name.rpartition(".")[0]):
        if candidate in known:
            return candidate
    return None


def circle(edges: Mapping[str, set[str]]) -> list[str] | None:
    """One circle of imports, its first module repeated at the end; None if there is none."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return None


def folder_graph() -> dict[str, set[str]]:
    """Which folders of ml/ the modules of each folder import, as the code is today."""
    folders = [rule.folder for rule in rules() if rule.folder.startswith("ml/")]
    edges: dict[str, set[str]] = {folder: set() for folder in folders}
    for name, targets in graph("ml").items():
        source = _folder(name, folders)
        for target in targets:
            found = _folder(target, folders)
            if source and found and found != source:
                edges[source].add(found)
    return edges


def _folder(module: str, folders: list[str]) -> str | None:
    return next((folder for folder in folders if f"{module}.".startswith(f"{package_of(folder)}.")), None)


def layers() -> list[list[str]]:
    """The folders of ml/ in rows, the lowest layer first, each row in the order of the rules."""
    placed = [rule for rule in rules() if rule.layer]
    return [
        [rule.folder for rule in placed if rule.layer == layer] for layer in sorted({rule.layer for rule in placed})
    ]


def reduced(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no other arrows imply (transitive reduction), so that a picture of them can be read."""
    reach: dict[str, set[str]] = {}
    for name in graphlib.TopologicalSorter(edges).static_order():
        reach[name] = set(edges[name]).union(*(reach[target] for target in edges[name]))
    return {
        name: {target for target in targets if not any(target in reach[other] for other in targets - {target})}
        for name, targets in edges.items()
    }


def table() -> str:
    """The rules as the Markdown table of CONTRIBUTING.md."""
    lines = ["| folder | what it is | may import |", "|---|---|---|"]
    for rule in rules():
        names = [f"`{name}`" for name in rule.listed]
        third = "any package" if rule.packages is None else ", ".join(sorted(rule.packages)) or "no package"
        lines.append(f"| `{rule.folder}` | {rule.purpose} | {', '.join(names) or 'no folder'}; {third} |")
    return "\n".join(lines) + "\n"


def replaced(text: str, table_text: str) -> str:
    """CONTRIBUTING.md with the table between its markers.

    Raises:
        ValueError: the markers are missing.
    """
    begin, end = "<!-- import rules: begin -->\n", "<!-- import rules: end -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"CONTRIBUTING.md: lacks the markers {begin.strip()} and {end}")
    return f"{head}{begin}\n{table_text}\n{end}{tail}"


def main() -> int:
    """Writes the table, the pictures and the page of costs."""
    from docs import cost, pictures

    contributing = ROOT / "CONTRIBUTING.md"
    contributing.write_text(replaced(contributing.read_text("utf-8"), table()), "utf-8")
    pictures.write()
    cost.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())
