"""The adversarial term: transformed reconstructions should look like others."""


def adversarial_error(critic, x2):
    """Return MSE(D(x2), 1), what the reconstructor pays for being recognised.

    The term of eq. (7) of Chen et al. (ICCV 2021) as a least-squares GAN, in
    which reconstructions x1 = f(y) play the real images and x2 = T_g x1 the
    made ones.

    Parameters
    ----------
    critic : callable
        D, from images to scores. Its weights should not require gradients.
    x2 : torch.Tensor of shape (batch, channel, *image_shape)
        Transformed reconstructions. Gradients flow through them.

    Returns
    -------
    loss : torch.Tensor, scalar
        Mean over all scores.
    """
    return (critic(x2) - 1).square().mean()


def critic_error(critic, x1, x2):
    """Return ½ MSE(D(x1), 1) + ½ MSE(D(x2), 0), what the critic minimises.

    Parameters
    ----------
    critic : callable
        D, from images to scores.
    x1, x2 : torch.Tensor of shape (batch, channel, *image_shape)
        Reconstructions, and transformed ones; no gradient reaches them.

    Returns
    -------
    loss : torch.Tensor, scalar

    References
    ----------
    X. Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017.
    """
    real = (critic(x1.detach()) - 1).square().mean()
    made = critic(x2.detach()).square().mean()
    return (real + made) / 2
