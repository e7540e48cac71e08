"""Every Python block of the README and the guide runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run_in_order(page):
    if not page.exists():
        pytest.skip("the documentation is not beside the tests")
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    if not blocks:
        pytest.skip("no Python on this page")
    # The largest of the examples is made smaller; the code is otherwise as shown.
    code = "\n".join(blocks).replace(
        "make_thorax_phantoms(20,", "make_thorax_phantoms(2,"
    )
    exec(compile(code.replace("max_epochs=10", "max_epochs=1"), page.name, "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    if not page.exists():
        pytest.skip("the documentation is not beside the tests")
    for target in re.findall(r"\]\(([^)#]+?)\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
