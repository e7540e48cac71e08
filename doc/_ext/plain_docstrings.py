"""Docstrings are written for readers of the source; this makes them proper RST.

|x|, (n, *shape) and scale_ mean in a docstring what they say. RST takes them for
substitutions, emphasis and links: outside of literals and doctests they are escaped.
"""

import re

LITERAL = re.compile(r"(``.+?``|:[\w:]+:`.+?`|`.+?`_?|\*\*.+?\*\*|\[\w+\]_)")
EMPHASIS = re.compile(r"(?<!\w)\*(?=[^\s*])[^*]*(?<=[^\s*])\*(?!\w)")


def escape(line):
    """Return a line of text in which only intended markup is markup."""
    line = re.sub(r"^(\s*)([A-Za-z])\. ", r"\1\2\\. ", line)  # A is no number
    parts = LITERAL.split(line)
    parts[::2] = [_escape_plain(part) for part in parts[::2]]
    return "".join(parts)


def _escape_plain(text):
    text = re.sub(r"(?<=\w)_(?!\w)", r"\\_", text)
    text = text.replace("|", r"\|")
    kept, start = [], 0
    for match in EMPHASIS.finditer(text):
        kept += [text[start : match.start()].replace("*", r"\*"), match.group()]
        start = match.end()
    return "".join([*kept, text[start:].replace("*", r"\*")])


def process(app, what, name, obj, options, lines):
    """Escape a docstring, after numpydoc has taken it apart."""
    in_doctest = False
    for i, line in enumerate(lines):
        text = line.strip()
        in_doctest = bool(text) and (in_doctest or text.startswith(">>>"))
        if not in_doctest and not text.startswith(".."):
            lines[i] = escape(line)


def setup(app):
    """Connect to autodoc."""
    app.connect("autodoc-process-docstring", process, priority=900)
    return {"parallel_read_safe": True}
