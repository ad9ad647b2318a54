"""Is this wheel whole? Run by `.ci/run` with the path of a wheel: `python tests/check_wheel.py WHEEL`.

It asserts that the wheel holds plain files only, every module and data file of the checkout, and nothing beside the
package `barnabas`.
"""

import stat
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "barnabas"


def expected() -> set[str]:
    names = {link.name for link in PACKAGE.iterdir() if link.name != "__pycache__"}
    folders = [ROOT / name for name in names if (ROOT / name).is_dir()]
    files = {ROOT / name for name in names if (ROOT / name).is_file()}
    for folder in folders:
        files |= {*folder.rglob("*.py"), *folder.rglob("data/*")}
    files |= {*(ROOT / "configs").glob("*.toml")}
    return {f"barnabas/{file.relative_to(ROOT).as_posix()}" for file in files if file.is_file()}


def complaints(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.infolist()
    found = {entry.filename for entry in entries if ".dist-info/" not in entry.filename}
    links = [entry.filename for entry in entries if stat.S_ISLNK(entry.external_attr >> 16)]
    return [
        *(f"{name} is a link" for name in links),
        *(f"{name} is missing" for name in sorted(expected() - found)),
        *(f"{name} does not belong" for name in sorted(found) if not name.startswith("barnabas/")),
    ]


if __name__ == "__main__":
    wrong = complaints(Path(sys.argv[1]))
    for line in wrong:
        print(line)
    print(f"{Path(sys.argv[1]).name}: {'not whole' if wrong else 'whole'}")
    sys.exit(bool(wrong))
