"""Early stopping by a score, and the weights that had the best one."""


class BestWeights:
    """Score f after every epoch; remember the best weights.

    Parameters
    ----------
    score : callable
        Of f; higher is better.
    patience : int
        Epochs without a better score after which training should end.
    """

    def __init__(self, score, patience):
        self.score = score
        self.patience = patience
        self.best_score_ = -float("inf")
        self.best_epoch_ = 0
        self.best_state_ = None
        self.waited_ = 0

    @property
    def exhausted(self):
        """Whether training should end."""
        return self.waited_ >= self.patience

    def score_epoch(self, net):
        """Score f; the score goes into the history as ``valid_score``."""
        score = self.score(net.function.eval())
        net.history.record("valid_score", score)
        better = score > self.best_score_
        net.history.record("valid_score_best", better)
        self.waited_ = 0 if better else self.waited_ + 1
        if better:
            self.best_score_ = score
            self.best_epoch_ = len(net.history)
            state = net.function.state_dict()
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
