"""Early stopping by a score, and the weights that had the best one."""

from skorch.callbacks import Callback


class BestWeights(Callback):
    """Score f after every epoch; remember the best weights.

    Parameters
    ----------
    score : callable
        Without arguments; higher is better.
    patience : int
        Epochs without a better score after which training should end.
    """

    def __init__(self, score, patience):
        self.score = score
        self.patience = patience

    def __getstate__(self):
        # The score belongs to a fit that is over when anything is pickled.
        return {**self.__dict__, "score": None}

    def initialize(self):
        """Forget what was best."""
        self.best_score_ = -float("inf")
        self.best_epoch_ = 0
        self.best_state_ = None
        self.waited_ = 0
        return self

    @property
    def exhausted(self):
        """Whether training should end."""
        return self.waited_ >= self.patience

    def on_epoch_end(self, net, **kwargs):
        """Score f; the score goes into the history as ``valid_score``."""
        net.module_.eval()
        score = self.score()
        net.history.record("valid_score", score)
        better = score > self.best_score_
        net.history.record("valid_score_best", better)
        self.waited_ = 0 if better else self.waited_ + 1
        if better:
            self.best_score_ = score
            self.best_epoch_ = len(net.history)
            state = net.module_.state_dict()
            self.best_state_ = {name: t.detach().clone() for name, t in state.items()}

    def state_dict(self):
        """Return what was best, for a checkpoint."""
        return {
            "score": self.best_score_,
            "epoch": self.best_epoch_,
            "waited": self.waited_,
            "state": self.best_state_,
        }

    def load_state_dict(self, state):
        """Go on from what :meth:`state_dict` returned."""
        self.best_score_, self.best_epoch_ = state["score"], state["epoch"]
        self.waited_, self.best_state_ = state["waited"], state["state"]


class StopWhenExhausted(Callback):
    """End training when a :class:`BestWeights` has waited long enough.

    The last callback of an epoch, so that all others have seen it.

    Parameters
    ----------
    best : BestWeights
        Whom to ask.
    """

    def __init__(self, best):
        self.best = best

    def on_epoch_end(self, net, **kwargs):
        """End training, in skorch's way."""
        if self.best.exhausted:
            raise KeyboardInterrupt
