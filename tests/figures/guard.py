"""What looks like a measured figure, and what only looks like one."""

import ast
import re

# An image's PSNR, or what has a unit of dB, time or memory, or is a ratio.
FIGURE = re.compile(
    r"(?<![\d.])[1-4]\d\.\d\d?(?![\d.]| %)"
    r"|[\d.]+ (?:dB|µs|ms|s|seconds?|min|minutes?|hours?|kB|MB|GB)\b"
    r"|[\d.]+(?: times|× (?=as|faster|slower))"
    r"|\d+ % (?:more|less|faster|slower|longer) (?:time|memory)"
    r"|\b(?:twice|\w+ times) (?:as (?:long|much|slow)|faster|slower|longer)"
    r"|\b(?:ten|twenty|hundred)fold"
)

# What others have found, and the link in the same paragraph that says who.
QUOTED = {
    "doc/data.md": {"(14 MB a sinogram)": "https://doi.org/10.5281/zenodo.8014757"},
}

# What is no measurement, and why.
EXCEPTIONS = {
    "CONTRIBUTING.md": {"more than 7 seconds": "the limit"},
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
    "doc/speed.md": {"up to 512 MB)": "the limit"},
    "doc/which_group.md": {"| MRI, 4 times as fast |": "an acceleration"},
    "examples/plot_10_your_own_odl_operator.py": {"stops 24 times.": "views"},
}


def in_one_line(text):
    return " ".join(text.split())


def prose(path):
    """Return a page without code, and without what a program has written into it."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        comments = re.findall(r"^# ?(.*)$", text, re.MULTILINE)
        text = "\n".join([ast.get_docstring(ast.parse(text)), "", *comments])
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"<!-- begin (.*?) -->.*?<!-- end \1 -->", "", text, flags=re.DOTALL)
    return re.sub(r"\(https?://arxiv[^)]*\)|arXiv[: ]\d+\.\d+", "", text)
