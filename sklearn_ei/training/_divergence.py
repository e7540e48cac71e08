"""Training that went wrong, and what to say about it."""

import math


class DivergenceError(ArithmeticError):
    """Training diverged: a term of the loss became NaN, infinite or huge.

    The estimator keeps what it had after the last epoch that went well.
    """


# Training starts from A†y, which is no bad image: a loss this many times as large as
# that of images of zeros, for the brightest sample, will not come back.
EXPLOSION = 1e2


def check_epoch(epoch, names, batches, limit, settings):
    """Refuse to go on if the loss of an epoch is not finite, or has exploded.

    Parameters
    ----------
    epoch : int
        Its number, from 1.
    names : list of str
        What the columns of ``batches`` are; the first is the loss itself.
    batches : list of list of float
        One row a batch.
    limit : float
        Above which a loss has exploded; 0 if that is not known.
    settings : str
        What the user might change, for the message.

    Raises
    ------
    DivergenceError
        Which names the epoch, the step, the term and the likely cause.
    """
    for step, row in enumerate(batches, start=1):
        bad = [i for i, value in enumerate(row) if not math.isfinite(value)]
        exploded = row[0] > limit > 0
        if not bad and not exploded:
            continue
        # The loss is bad because a term is: name the first term that is.
        column = max(bad[:2]) if bad else max(range(1, len(row)), key=row.__getitem__)
        fate = "exploded to" if exploded and not bad else "became"
        if step == 1 and epoch == 1:
            cause = (
                "no step had been taken, so the loss or the network itself gives "
                "such values for these measurements"
            )
        else:
            cause = (
                f"most likely steps that are too large: try a smaller lr ({settings})"
            )
        kept = f"The state after epoch {epoch - 1} is kept."
        if epoch == 1:
            kept = "Nothing is kept of it."
        raise DivergenceError(
            f"Training diverged in epoch {epoch}, step {step}: {names[column]} {fate} "
            f"{row[column]:.3g}; {cause}. {kept}"
        )
