"""Read public and made files with our readers and with the field's libraries.

python benchmarks/readers_agree.py [--no-record]

Public files are the small ones that pydicom, SciPy, scikit-image, h5py and other
installed packages bring along; nothing is downloaded. A reader may give the values of
the library, or refuse in a sentence that names the file; it may not differ silently.
"""

import argparse
import itertools
import sys
import tempfile
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import _record
from _readers import made_cases, public_cases

SMOKE = []
SMOKE_SLOW = True
SMOKE_NEEDS = ["h5py", "mrcfile", "pydicom", "tifffile"]
LIBRARIES = ("pydicom", "h5py", "tifffile", "mrcfile", "scipy", "pillow", "numpy")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        cases = [
            case.run()
            for case in itertools.chain(public_cases(folder), made_cases(folder))
        ]
    outcomes = Counter(case.outcome for case in cases)
    bad = [c for c in cases if c.outcome in ("silently different", "raw error")]
    for case in cases:
        if case.outcome not in ("equal", "refused by both"):
            print(f"{case.outcome:28} {case.reader:18} {case.path.name}: {case.detail}")
    readers = sorted({case.reader for case in cases})
    result = {
        "machine": _record.machine(),
        "libraries": {library: version(library) for library in LIBRARIES},
        "files": len({case.path for case in cases}),
        "public_files": len({case.path for case in cases if not case.made}),
        "reads": len(cases),
        "silently_different": outcomes["silently different"],
        "raw_errors": outcomes["raw error"],
        "outcomes": dict(outcomes),
        "by_reader": {
            reader: dict(Counter(c.outcome for c in cases if c.reader == reader))
            for reader in readers
        },
        "refused": [
            {
                "reader": case.reader,
                "file": case.path.name,
                "error": case.detail.replace(str(case.path), case.path.name),
            }
            for case in cases
            if case.outcome == "refused"
        ],
    }
    print({key: value for key, value in result.items() if key != "refused"})
    if not arguments.no_record:
        print(_record.write("readers_agree", result))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
