"""The package imports no other package of its repository, and has no import cycle."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, including imports in functions and for type checking."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module and not node.level, f"{path}: relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= submodules & set(MODULES) or {node.module}
    return names


def test_imports_have_no_cycle() -> None:
    """The failure names the cycle."""
    graph = {name: imports(path) & set(MODULES) - {name} for name, path in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_imports_leave_out_the_repository() -> None:
    """Neither the package nor its tests import the product or the other emulator."""
    for path in [*SOURCE.rglob("*.py"), *Path(__file__).parent.rglob("*.py")]:
        assert not {name.split(".")[0] for name in imports(path)} & {"ml", "local_github"}, path
