"""The README and the site: code runs, links lead somewhere, every name is there."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import sklearn_ei

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "doc"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGES.md")),
    *sorted(DOCS.glob("*.md")),
]
SLOW = {  # more than three seconds
    *("baselines.md", "defaults.md", "figures.md", "first_real_scan.md"),
    *(
        "geometry.md",
        "identifiability.md",
        "long_runs.md",
        "missing.md",
        "model_selection.md",
    ),
    *("speed.md", "training.md", "user_guide.md"),
}
ROOMS = [n for n in sklearn_ei.__all__ if inspect.ismodule(getattr(sklearn_ei, n))]


def read(path):
    if not path.exists():
        pytest.skip("the documentation is not beside the tests")
    return path.read_text("utf-8")


def code_blocks(page):
    """Return the Python of a page in order, files that it includes as well."""
    pattern = r"```python\n(.*?)```|```{literalinclude} (\S+\.py)\n"
    found = re.findall(pattern, read(page), re.DOTALL)
    return [block or read(page.parent / file) for block, file in found]


def case(page):
    marks = [pytest.mark.slow] if page.name in SLOW else []
    return pytest.param(page, id=page.name, marks=marks)


@pytest.mark.parametrize("page", map(case, PAGES))
def test_code_blocks_run_in_order(page):
    blocks = code_blocks(page)
    if not blocks:
        pytest.skip("no Python on this page")
    # The largest of the examples is made smaller; the code is otherwise as shown.
    code = "\n".join(blocks).replace(
        "make_thorax_phantoms(20,", "make_thorax_phantoms(2,"
    )
    exec(compile(code.replace("max_epochs=10", "max_epochs=1"), page.name, "exec"), {})


def anchors_of(page):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_images_lead_somewhere(page):
    text = read(page)
    targets = re.findall(r"\]\(([^)]+?)\)", text)
    targets += re.findall(r"(?:\{image\} |^:target: )(\S+)", text, re.MULTILINE)
    for target in targets:
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if path.startswith("auto_examples/"):  # made from examples/ by the build
            made = re.search(r"plot_\d+_\w+?(?=\.|_\d{3}\.)", path)
            file = ROOT / "examples" / (f"{made[0]}.py" if made else "README.rst")
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file), target


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in DOCS.glob("*.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", read(page), re.DOTALL):
            lines = {n for n in block.split("\n") if n and not n.startswith(":")}
            listed |= {re.sub(r".*<(.*)>", r"\1", line) for line in lines}
    pages = {p.stem for p in (*DOCS.glob("*.md"), *DOCS.glob("*.rst"))}
    assert pages - {"index", "sg_execution_times"} <= listed


def reference():
    """Return the full names that doc/api.rst lists."""
    module, names = "", set()
    for line in read(DOCS / "api.rst").splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif re.fullmatch(r"   [\w.]+", line):
            names.add(f"{module}.{line.strip()}")
    return names


def public_names():
    """Return {full name: object} of all that users can import."""
    names = {
        f"sklearn_ei.{n}": getattr(sklearn_ei, n)
        for n in sklearn_ei.__all__
        if n not in ROOMS and n != "__version__"
    }
    for room in ROOMS:
        module = importlib.import_module(f"sklearn_ei.{room}")
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value):  # constants are named where they matter
                continue
            if value not in names.values():  # else it has a shorter name
                names[f"sklearn_ei.{room}.{name}"] = value
    return names


def test_the_reference_has_every_public_name_and_no_other():
    listed, public = reference(), public_names()
    assert listed == set(public)
    assert all(value.__doc__ for value in public.values())


# What numpydoc finds in a docstring and this project does not ask for: sections that
# would say nothing (See Also, Examples, extended summaries of methods), names of
# returned values, and parameters that a sentence describes together.
UNASKED = {
    *("SA01", "EX01", "ES01", "RT01", "RT02", "RT03", "RT04"),
    *("PR01", "PR04", "PR08", "SS02", "SS05"),
}


@pytest.mark.parametrize("name", sorted(public_names()))
def test_docstrings_are_numpydoc(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    value, checked = public_names()[name], [name]
    if inspect.isclass(value):
        checked += [
            f"{name}.{method}"
            for method, function in inspect.getmembers(value, callable)
            if not method.startswith("_")
            and getattr(inspect.unwrap(function), "__module__", "").startswith(
                "sklearn_ei"
            )
        ]
    for one in checked:
        errors = validate(one)["errors"]
        assert not [e for e in errors if e[0] not in UNASKED], one


def test_examples_are_numbered_questions():
    examples = sorted((ROOT / "examples").glob("plot_*.py"))
    if not examples:
        pytest.skip("the examples are not beside the tests")
    numbers = sorted(int(path.stem.split("_")[1]) for path in examples)
    assert numbers == list(range(1, len(examples) + 1))
    for path in examples:
        title, line, blank, *text = ast.get_docstring(
            ast.parse(path.read_text("utf-8"))
        ).split("\n")
        assert line == "=" * len(title)
        assert not blank
        assert text
