"""What notebooks show of operators, groups and estimators."""

from html import escape


class FactsMixin:
    """Adds a table of facts to the diagram that scikit-learn shows in notebooks.

    A subclass supplies ``_facts``, which yields pairs (name, value) of text. It is
    placed before ``BaseEstimator`` among the base classes.
    """

    def _repr_html_inner(self):
        return super()._repr_html_inner() + self._facts_html()

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] = self._repr_html_inner()
        return bundle

    def _facts_html(self):
        try:
            facts = list(self._facts())
        except Exception:  # wrong parameters are for fit to refuse
            return ""
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(str(name))}</th>"
            f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
            for name, value in facts
        )
        return f"<table>{rows}</table>" if rows else ""


def shape_text(shape, n_channels=None):
    """Return a shape as people write it, such as ``64 × 64, 2 channels``."""
    if shape is None:
        return "open until the data is seen"
    text = " × ".join(map(str, shape))
    return text if n_channels is None else f"{text}, {n_channels} channels"
