"""Pass every public entry what users pass by mistake, and what they may pass.

python benchmarks/robust_inputs.py
"""

import argparse
import sys
from collections import Counter

import _bad_inputs
import _record
import torch

SMOKE = ["--entries", "psnr(x_true)", "measure(images)"]
SMOKE_SLOW = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", nargs="*", help="some of them alone")
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = (*_bad_inputs.refused_cases(), *_bad_inputs.accepted_cases())
    wanted = arguments.entries
    outcomes = [
        _bad_inputs.run(case)
        for case in cases
        if wanted is None or case.entry in wanted
    ]
    for outcome in outcomes:
        kind = "refused" if outcome.case.refused else "accepted"
        print(f"{outcome.problem or kind:24} {outcome.case!s:50} {outcome.error[:160]}")
    refused = [o for o in outcomes if o.case.refused]
    problems = Counter(o.problem for o in outcomes if o.problem)
    result = {
        "machine": _record.machine(),
        "bad_inputs": len(refused),
        "refused_in_a_sentence_and_nothing_changed": sum(
            o.problem is None for o in refused
        ),
        "silent": problems["silent"],
        "errors_from_below_our_validation": problems["error from below"],
        "changed_the_estimator": problems["changed the estimator"],
        "unusual_but_right_inputs": len(outcomes) - len(refused),
        "accepted_with_the_right_result": sum(
            o.problem is None for o in outcomes if not o.case.refused
        ),
        "problems": dict(problems),
        "table": [
            {"entry": o.case.entry, "input": o.case.name, "error": o.error}
            for o in outcomes
        ],
    }
    print({key: value for key, value in result.items() if key != "table"})
    if not arguments.no_record:
        print(_record.write("robust_inputs", result))
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
