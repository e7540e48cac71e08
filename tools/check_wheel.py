"""Compare a wheel with the checkout it was built from.

    python tools/check_wheel.py dist/*.whl

Tests that run against an installed wheel only notice modules that they import. This
fails if a file of the package is missing in the wheel, differs, or has no business
there.
"""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "sklearn_ei"


def faults_of(wheel):
    """Yield what is wrong with a wheel, a line each."""
    ours = {
        str(path.relative_to(ROOT)): path
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        theirs = {name for name in archive.namelist() if ".dist-info/" not in name}
        for name in sorted(ours.keys() - theirs):
            yield f"{name} is not in the wheel"
        for name in sorted(theirs - ours.keys()):
            yield f"{name} is in the wheel, but not in the checkout"
        for name in sorted(ours.keys() & theirs):
            if archive.read(name) != ours[name].read_bytes():
                yield f"{name} is another file in the wheel"


def main(wheels):
    """Print the faults of all wheels; return whether there are any."""
    faults = [f"{wheel}: {fault}" for wheel in wheels for fault in faults_of(wheel)]
    print("\n".join(faults) or f"{len(wheels)} wheel(s) as the checkout")
    return bool(faults or not wheels)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
