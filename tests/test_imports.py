"""The import rules of docs/import_rules.yaml hold, and no package has an import circle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs import structure

ROOT = Path(__file__).resolve().parents[1]
RULES = structure.rules()
MODULES = [
    (rule, name, path)
    for rule in RULES
    for name, path in structure.modules(structure.package_of(rule.folder).split(".")[0]).items()
    if f"{name}.".startswith(f"{structure.package_of(rule.folder)}.")
]
TOP: dict[str, set[str]] = {
    "ml.atomic_file": set(),
    "ml.clock": set(),
    "ml.console": {"rich"},
    "ml.errors": set(),
    "ml.lock_installer": set(),
    "ml.render": {"rich"},
    "ml.virtual_environment": set(),
}
"""The modules beside the folders of ml/, which import no folder, and the third-party packages of each."""


@pytest.mark.parametrize(("rule", "name", "path"), MODULES, ids=[name for _, name, _ in MODULES])
def test_module_imports_what_its_folder_may_import(rule: structure.Rule, name: str, path: Path) -> None:
    """A module imports only the folders and packages that the rule of its folder names."""
    for imported in structure.imports(path):
        top = imported.split(".")[0]
        if top in ("ml", "deploy_model", "serving") or (
            top in structure.SOURCES and rule.folder.startswith("emulators/")
        ):
            allowed = any(f"{imported}.".startswith(f"{module}.") for module in rule.modules)
            assert allowed, f"{path}: {rule.folder} may not import {imported}"
        elif top not in sys.stdlib_module_names and rule.packages is not None:
            assert top in rule.packages, f"{path}: {rule.folder} may not import {top}"


def test_every_folder_has_a_rule() -> None:
    """Each folder of ml/ is named in docs/import_rules.yaml, and each rule names a folder that exists."""
    folders = {f"ml/{path.name}" for path in (ROOT / "ml").iterdir() if (path / "__init__.py").exists()}
    named = {rule.folder for rule in RULES}
    assert {folder for folder in named if folder.startswith("ml/")} == folders
    assert all((ROOT / folder).is_dir() for folder in named)


def test_rules_list_nothing_unused() -> None:
    """Every folder and package that a rule lists is imported, so removed imports lose their permission."""
    for rule in RULES:
        if rule.packages is None:
            continue
        found = {name for owner, _, path in MODULES if owner == rule for name in structure.imports(path)}
        folders = {name.split(".")[1] for name in found if name.startswith("ml.")}
        packages = {name.split(".")[0] for name in found}
        assert set(rule.listed) <= folders, f"{rule.folder}: remove {sorted(set(rule.listed) - folders)}"
        assert rule.packages <= packages, f"{rule.folder}: remove {sorted(rule.packages - packages)}"


def test_top_modules_import_only_each_other() -> None:
    """The modules beside the folders of ml/ are usable from anywhere because they import no folder."""
    paths = {f"ml.{path.stem}": path for path in (ROOT / "ml").glob("*.py") if path.stem != "__init__"}
    assert set(paths) == set(TOP)
    for name, path in paths.items():
        project = {each for each in structure.graph("ml")[name] if each != "ml"}
        assert project <= set(TOP), f"{name} imports {sorted(project - set(TOP))}"
        packages = {each.split(".")[0] for each in structure.imports(path)} - sys.stdlib_module_names - {"ml"}
        assert packages == TOP[name], f"{name} imports {sorted(packages)}"


@pytest.mark.parametrize("package", sorted(structure.SOURCES))
def test_package_has_no_import_circle(package: str) -> None:
    """No module imports itself through others, function-level and TYPE_CHECKING imports included."""
    circle = structure.circle(structure.graph(package))
    assert circle is None, f"import circle: {' → '.join(circle or [])}"


def test_folders_have_no_import_circle() -> None:
    """The folders of ml/ are layers: the rules allow no circle between them."""
    rules = {rule.folder: {f"ml/{name}" for name in rule.listed if (ROOT / "ml" / name).is_dir()} for rule in RULES}
    circle = structure.circle(rules)
    assert circle is None, f"circle in docs/import_rules.yaml: {' → '.join(circle or [])}"


def test_imports_run_down_the_layers() -> None:
    """A folder imports folders of lower layers only; those of one layer, such as the subjects, are independent."""
    layer = {rule.folder: rule.layer for rule in RULES if rule.layer}
    for folder, targets in structure.folder_graph().items():
        assert all(layer[target] < layer[folder] for target in targets), f"{folder} imports {sorted(targets)}"
    for rule in RULES:
        named = [f"ml/{name}" for name in rule.listed if f"ml/{name}" in layer]
        assert all(layer[target] < layer[rule.folder] for target in named if rule.layer), f"{rule.folder} lists {named}"


def test_circle_is_named() -> None:
    """The check names the modules of a circle in the order of the imports."""
    assert structure.circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) in (
        ["a", "b", "c", "a"],
        ["b", "c", "a", "b"],
        ["c", "a", "b", "c"],
    )


def test_contributing_shows_the_rules() -> None:
    """CONTRIBUTING.md's table is made from docs/import_rules.yaml."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert structure.replaced(text, structure.table()) == text, "run: make docs"


def test_command_line_starts_without_heavy_libraries() -> None:
    """Importing ml.cli loads neither the SageMaker SDK nor boto3, pandas, scikit-learn or an emulator."""
    heavy = ["sagemaker", "boto3", "pandas", "sklearn", "moto", "matplotlib", "local_aws", "local_github"]
    code = f"import sys, ml.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drift_check_starts_without_training_libraries() -> None:
    """Importing the verb of the daily check loads neither scikit-learn nor pandas, which take seconds."""
    heavy = ["imblearn", "matplotlib", "pandas", "sagemaker", "scipy.stats", "sklearn"]
    code = f"import sys, ml.commands.drift_check; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
