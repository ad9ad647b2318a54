"""The house stands: the root is the package, its links are whole, files stay small, and layers look one way only.

The layers are checked by import-linter too. Here they are read from the syntax trees: also where an import hides
inside a function or under TYPE_CHECKING, and without anything but pytest.
"""

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import barnabas

ROOT = Path(__file__).resolve().parent.parent
LINKS = ROOT / "src" / "barnabas"
LAYERS = ["storage", "actors", "transport", "client", "cluster", "simulation", "bench", "cli"]  # left to right
OUTSIDE = {"src", "tests", "docs", "build", "dist"}  # folders of the repository that are not of the package
HOMES = {"zmq": "transport", "rich": "cli"}  # library -> the only folder that imports it
MAX_LINES = 600


def folders() -> list[Path]:
    return [path for path in sorted(ROOT.iterdir()) if path.is_dir() and (path / "__init__.py").is_file()]


def sources() -> Iterator[Path]:
    for folder in (*folders(), ROOT / "tests"):
        yield from (path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts)
    yield from sorted(ROOT.glob("*.py"))


def modules() -> list[Path]:
    return [path for path in sources() if path.relative_to(ROOT).parts[0] in LAYERS]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, by its absolute name, with the line."""
    package = ["barnabas", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*around, *([node.module] if node.module else [])])
            # `from .. import storage` names a folder only in what it imports
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def test_every_package_folder_is_a_layer_and_is_linked() -> None:
    assert sorted(folder.name for folder in folders() if folder.name not in OUTSIDE) == sorted(LAYERS)
    expected = {*LAYERS, "configs", "__init__.py", "__main__.py", "py.typed"}
    assert {path.name for path in LINKS.iterdir() if path.name != "__pycache__"} == expected


def test_links_are_relative_and_lead_to_the_root() -> None:
    for path in LINKS.iterdir():
        if path.name != "__pycache__":
            assert os.readlink(path) == f"../../{path.name}"
            assert path.resolve() == ROOT / path.name


def test_every_folder_with_modules_is_a_package() -> None:
    strays = {path.parent for path in modules() if not (path.parent / "__init__.py").is_file()}
    assert not strays


def test_a_checkout_imports_the_files_that_people_edit() -> None:
    assert barnabas.__path__ == [str(ROOT)]
    spec = importlib.util.find_spec("barnabas.storage")
    assert spec is not None
    assert spec.origin == str(ROOT / "storage" / "__init__.py")


def test_importing_barnabas_imports_no_layer_and_no_library() -> None:
    script = "import sys, barnabas; print(*sorted(name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert [name for name in names if name.startswith("barnabas.")] == []
    assert {"zmq", "msgspec", "rich", "asyncio", "psutil"}.isdisjoint(names)


def test_the_public_names_are_listed_and_others_are_refused() -> None:
    assert set(barnabas.__all__) <= set(dir(barnabas))
    with pytest.raises(AttributeError, match="module 'barnabas' has no attribute 'Zookeeper'"):
        _ = barnabas.Zookeeper


def test_no_file_is_longer_than_600_lines() -> None:
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in sources()}
    assert {name: lines for name, lines in sizes.items() if lines > MAX_LINES} == {}


def test_every_file_opens_with_a_sentence() -> None:
    silent = [
        path.relative_to(ROOT).as_posix() for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_a_folder_imports_only_folders_to_its_left() -> None:
    wrong: list[str] = []
    for path in modules():
        layer = path.relative_to(ROOT).parts[0]
        for line, name in imported(path):
            parts = name.split(".")
            if parts[0] == "barnabas" and parts[1] in LAYERS and LAYERS.index(parts[1]) > LAYERS.index(layer):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert wrong == []


def test_inside_the_package_imports_are_relative() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "barnabas")
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "barnabas" for alias in node.names))
    ]
    assert wrong == []


def test_sockets_stay_in_transport_and_colours_in_cli() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules()
        for line, name in imported(path)
        if HOMES.get(name.split(".")[0], layer := path.relative_to(ROOT).parts[0]) != layer
    ]
    assert wrong == []


def test_actors_know_time_chance_and_disk_only_through_their_context() -> None:
    banned = {"asyncio", "threading", "time", "os", "datetime", "uuid", "zmq"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules()
        if path.relative_to(ROOT).parts[0] == "actors"
        for line, name in imported(path)
        if name.split(".")[0] in banned or (name.split(".")[0] == "random" and name != "random.Random")
    ]
    assert wrong == []
