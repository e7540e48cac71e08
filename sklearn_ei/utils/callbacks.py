"""scikit-learn's callbacks (1.9 and later), or nothing in their place."""

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in without ``set_callbacks``."""

    def with_callbacks(method):
        """Return the method unchanged."""
        return method


def open_callback_context(estimator, n_epochs):
    """Return the root context of a fit over ``n_epochs`` tasks, or None."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    return estimator._init_callback_context(max_subtasks=n_epochs)
