"""Imports go one way, and the core reaches for no web framework, database or network."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cds_service"
LAYERS = {
    "fhir": set(),
    "chart": {"fhir"},
    "knowledge": {"fhir", "chart"},
    "evaluate": {"fhir", "chart", "knowledge"},
    "explain": {"fhir", "chart", "knowledge", "evaluate"},
    "history": {"fhir", "chart", "knowledge", "evaluate"},
    "select": {"fhir", "chart", "knowledge", "evaluate", "history"},
    "store": {"hooks", "history", "knowledge", "fhir", "config"},
    "hooks": {
        "fhir",
        "chart",
        "knowledge",
        "evaluate",
        "explain",
        "history",
        "select",
        "addresses",
        "outgoing",
        "operating",
    },
    "addresses": set(),
    "outgoing": {"addresses"},
    "operating": set(),
}
OUTSIDE = {"flask", "sqlalchemy", "requests", "gunicorn", "werkzeug"}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names if node.module == "cds_service")
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def files_of(layer: str) -> list[Path]:
    folder = PACKAGE / layer
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{layer}.py"]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_the_layers_below_it(layer: str) -> None:
    for path in files_of(layer):
        for name in imported(path):
            parts = name.split(".")
            if (
                parts[0] == "cds_service"
                and len(parts) > 1
                and (PACKAGE / parts[1]).exists() | (PACKAGE / f"{parts[1]}.py").exists()
            ):
                assert parts[1] in LAYERS[layer] | {layer}, f"{path.name} imports {name}"


@pytest.mark.parametrize("layer", ["fhir", "chart", "knowledge", "evaluate", "explain", "history", "select"])
def test_the_core_reaches_for_nothing_outside(layer: str) -> None:
    for path in files_of(layer):
        assert not {name.split(".")[0] for name in imported(path)} & OUTSIDE, path.name
