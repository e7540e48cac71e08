"""What looks like a measured figure, and what only looks like one."""

import ast
import io
import re
import tokenize

NUMBER = r'(?<![\d."])\d[\d.]*'  # one that a quote opens is a parameter's value
SHARE = rf"{NUMBER}(?:(?:–| to ){NUMBER})? ?%(?!%)"  # "# %%" begins a cell

# A percentage, an image's PSNR, or what has a unit of dB, time or memory, or a ratio.
FIGURE = re.compile(
    rf"{SHARE}"
    r"|(?<![\d.])[1-4]\d\.\d\d?(?![\d.])"
    rf"|{NUMBER} (?:dB|µs|ms|s|seconds?|min|minutes?|hours?|kB|MB|GB)\b"
    rf"|{NUMBER}(?: times|× (?=as|faster|slower))"
    r"|\b(?:twice|\w+ times) (?:as (?:long|much|slow)|faster|slower|longer)"
    r"|\b(?:ten|twenty|hundred)fold"
)

# Percentages that an experiment is given: noise, lost pixels, the level of intervals.
INPUT = re.compile(
    rf"noise of {SHARE}|{SHARE} (?:of )?noise|{SHARE} of (?:the largest|max)"
    rf"|{SHARE} (?:of the pixels )?(?:are )?(?:lost|dead)|lost {SHARE}"
    rf"|{SHARE} intervals?"
)

# What others have found, and the link in the same paragraph that says who.
QUOTED = {
    "doc/data.md": {"(14 MB a sinogram)": "https://doi.org/10.5281/zenodo.8014757"},
}

IN_THE_PACKAGE = {
    "identifiability/_check.py": {"16384 unknowns and 3 GB": "the limit"},
    "noise/_report.py": {
        "until the level stays within 1 %": "the threshold",
        "by 5 % in the last doubling of k, or by 10 % from": "thresholds",
        "has fallen by 30 %": "the threshold",
    },
    "operators/_axis_tilt.py": {"holds 68 % of the slopes": "one standard deviation"},
    "operators/_consistency.py": {
        "Above 5 % the operator": "the threshold",
        "Between 1 % and 5 % it is": "thresholds",
    },
    "operators/_facts.py": {"plus 10 %": "the margin"},
    "operators/_iterative.py": {
        "plus 10 %": "the margin",
        "restored to within 0.5 %": "2 exp(−2·3)",
        "0.87·log(n)/99 ≈ 10 %": "a theorem",
    },
    "operators/_matrix.py": {"restored to within 0.5 %": "2 exp(−2·3)"},
    "operators/_odl_operator.py": {"exact to 0.5 %": "2 exp(−2·3)"},
    "operators/_refinement.py": {"CT without noise, and with 5 %,": "an input"},
    "reconstruction/_equivariant_cv.py": {
        "Five values cost 2.2 times the samples": "counted",
        "10 and 100 times the": "values",
    },
    "reconstruction/_regularization.py": {"gain at least 0.5 %": "the threshold"},
    "reconstruction/_tikhonov.py": {
        "at most about 5 % too large": "the root of a margin",
        "falls by 0.5 %": "the threshold",
    },
    "reconstruction/_total_variation.py": {
        "at most about 5 % too large": "the root of a margin",
        "falls by 0.5 %": "the threshold",
    },
    "utils/stack.py": {"pieces of up to 2 MB": "pages of the system"},
}

# What is no measurement, and why.
EXCEPTIONS = {
    "CONTRIBUTING.md": {
        "more than 3 seconds": "the limit",
        "eight minutes": "the limit",
    },
    "doc/baselines.md": {"lower by more than 1 %": "the tolerance"},
    "doc/identifiability.md": {
        "within 1.5 times its floor": "the threshold",
        "below 1.5 times the floor": "the threshold",
    },
    "doc/long_runs.md": {
        "kills one training 50 times": "the script's own number",
        "more than 256 MB (": "the limit",
        "up to 512 MB,": "the limit",
    },
    "doc/model_selection.md": {"cost 2.2 times the samples": "counted"},
    "doc/operators_and_groups.md": {"`memory_budget` (4 GB)": "the default"},
    "doc/real_results.md": {
        "the first 80 % train, the last 10 % test": "the split",
    },
    "doc/speed.md": {"up to 512 MB)": "the limit"},
    "doc/trust.md": {"Intervals contain 90 % of the pixels": "the level asked for"},
    "doc/which_group.md": {"| MRI, 4 times as fast |": "an acceleration"},
    "examples/plot_10_your_own_odl_operator.py": {"stops 24 times.": "views"},
    **{f"sklearn_ei/{path}": known for path, known in IN_THE_PACKAGE.items()},
}


def in_one_line(text):
    return " ".join(text.split())


def figures(text):
    """Return what looks like a measured figure in a text of one line."""
    return FIGURE.findall(INPUT.sub("…", text))


def docstrings_and_comments(code):
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(ast.parse(code)):
        text = ast.get_docstring(node) if isinstance(node, documented) else None
        yield re.sub(r"^ *>>> .*?(?:\n\n|\Z)", "\n", text or "", flags=re.M | re.S)
    yield ""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.removeprefix("#").strip()


def prose(path):
    """Return a page without code, and without what a program has written into it."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        text = "\n".join(docstrings_and_comments(text))
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"<!-- begin (.*?) -->.*?<!-- end \1 -->", "", text, flags=re.DOTALL)
    return re.sub(r"\(https?://arxiv[^)]*\)|arXiv[: ]\d+\.\d+", "", text)
