"""skorch callbacks that this package adds."""

from skorch.callbacks import Callback

from ..utils.params import brief


def check_callbacks(callbacks):
    """Refuse what is not a list of skorch callbacks, or (name, callback) pairs."""
    if callbacks is None:
        return
    wrong = [callbacks]
    if isinstance(callbacks, list):
        items = [cb[1] if isinstance(cb, tuple) else cb for cb in callbacks]
        wrong = [cb for cb in items if not isinstance(cb, Callback)]
    if wrong:
        raise TypeError(
            f"Got {brief(wrong[0])} in callbacks, but expected a list of skorch "
            "callbacks; those of scikit-learn go to set_callbacks(...)."
        )


class EpochTasks(Callback):
    """Report every epoch to scikit-learn's callbacks as a task of the fit.

    Parameters
    ----------
    estimator : estimator
        Who is being fitted.
    context : sklearn.callback.CallbackContext
        The root context of the fit, begun.
    processes : Processes
        Among which the training is shared.
    """

    def __init__(self, estimator, context, processes):
        self.estimator = estimator
        self.context = context
        self.processes = processes

    def __getstate__(self):
        # The context belongs to a fit that is over when anything is pickled.
        return {"estimator": None, "context": None, "processes": None}

    def on_epoch_begin(self, net, **kwargs):
        """Open the epoch's task."""
        self.task_ = self.context.subcontext(task_name="epoch")
        self.task_.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net, **kwargs):
        """Close the epoch's task; end training if a callback asks for it."""
        stop = self.task_.call_on_fit_task_end(estimator=self.estimator)
        # All processes stop, or none.
        if self.processes.from_main(bool(stop)):
            raise KeyboardInterrupt  # skorch's way to stop after this epoch
