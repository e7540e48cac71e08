"""How the site is built: `make doc`."""

import inspect
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import sklearn_ei

project = "sklearn_ei"
author = "The sklearn_ei developers"
copyright = f"2026, {author}"
version = release = sklearn_ei.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "plain_docstrings",
]
exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]

# -- Docstrings ---------------------------------------------------------------
autosummary_generate = True
autodoc_typehints = "none"  # docstrings tell types, with shapes and units
numpydoc_show_class_members = False  # the class template lists them
numpydoc_class_members_toctree = False
toc_object_entries_show_parents = "hide"


def skip_foreign_members(app, what, name, member, skip, options):
    """Leave what scikit-learn, torch and Python define to their own manuals."""
    member = inspect.unwrap(getattr(member, "fget", None) or member)
    module = getattr(member, "__module__", None) or ""
    return skip or not module.startswith("sklearn_ei")


# -- Pages --------------------------------------------------------------------
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# -- Gallery ------------------------------------------------------------------
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "gallery_order.ByNumber",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_ei",),
    "abort_on_example_error": True,
    "min_reported_time": 0,
    "remove_config_comments": True,
    "plot_gallery": os.environ.get("SKLEARN_EI_GALLERY", "1") == "1",
    "download_all_examples": True,
    "show_signature": False,
}
# What examples warn of is an error, as in the tests. The exceptions are not ours.
warnings.filterwarnings("error", module="sklearn_ei")

# -- References ---------------------------------------------------------------
# Builds need no network: links into other manuals are made only if asked for.
if os.environ.get("SKLEARN_EI_INTERSPHINX", "0") == "1":
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
    }
smartquotes = False  # parameters are 'auto' and not ”auto”
nitpicky = True
nitpick_ignore_regex = [
    # Base classes that other manuals describe, and our own private mixins.
    (r"py:.*", r"(sklearn|scipy|torch|odl|skorch|matplotlib|numpy|abc|enum)\..*"),
    (r"py:.*", r"(object|ABC|Exception|ValueError|UserWarning|RuntimeError)"),
    (r"py:.*", r".*\._.*"),
]

# -- Look ---------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = f"sklearn_ei {version}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "getting_started": [], "whats_new": []}


def name_roles(app, pagename, templatename, context, doctree):
    """Give references the role that their list's role asks for (WAI-ARIA)."""
    body = context.get("body")
    if body:
        context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    """Connect what this file defines."""
    app.connect("html-page-context", name_roles)
    app.connect("autodoc-skip-member", skip_foreign_members)
