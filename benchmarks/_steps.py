"""Training steps to time: ours, those of the network alone, and deepinv's."""

import torch

from sklearn_ei import EquivariantReconstructor
from sklearn_ei.datasets import make_thorax_phantoms
from sklearn_ei.groups import Rotations
from sklearn_ei.losses import EquivarianceTerm
from sklearn_ei.networks import UNet
from sklearn_ei.operators import ParallelBeamCT
from sklearn_ei.reconstruction._plan import Planner
from sklearn_ei.training import Processes
from sklearn_ei.training._train import make_net

PAPER = {"network": UNet(width=64, depth=4)}
PAPER_FIVE = {**PAPER, "equivariance_term": EquivarianceTerm(n_transforms=5)}
SMALL = {"network": UNet(width=16, depth=4)}
DEFAULT = {}


class Ours:
    """An estimator in the middle of its training.

    Parameters
    ----------
    size, n_views, batch : int
        Of the images, the sinograms and a step.
    stop_before_training : bool
        Whether its net has not taken any step yet.
    settings : dict
        Of the estimator.
    """

    def __init__(
        self,
        size=128,
        n_views=50,
        batch=2,
        device="cpu",
        stop_before_training=False,
        **settings,
    ):
        operator = ParallelBeamCT(n_views, (size, size))
        self.images = make_thorax_phantoms(batch, (size, size), random_state=0)
        self.Y = operator.measure(self.images)
        self.estimator = EquivariantReconstructor(
            operator,
            Rotations(360),
            max_epochs=1,
            batch_size=batch,
            lr_schedule="constant",
            check_rank=False,
            random_state=0,
            device=device,
            **settings,
        )
        planner = Planner(self.estimator, Processes(), goes_on=False, incremental=False)
        plan, _ = planner.plan(self.Y, None)
        if stop_before_training:
            self.net = make_net(plan)
        else:
            self.net = self.estimator.fit(self.Y).net_
        self.operator, self.dataset = plan.operator, plan.dataset
        self.batch = (self.dataset.Y, None, self.dataset.start)
        self.net._set_training(True)

    @property
    def n_transforms(self):
        """Group elements that are drawn for each sample."""
        return self.net.criterion_.n_transforms

    def step(self):
        """Take a training step."""
        self.net.train_step(self.batch)

    def networks(self):
        """Take the step's passes through the network alone, forward and backward."""
        function, start = self.net.module_, self.batch[2]
        again = start.repeat_interleave(self.n_transforms, dim=0)
        for images in (start, again):
            total = 0
            for stage in function.stages:
                total = total + function._take(stage, images).square().mean()
            total.backward()
        for parameter in function.parameters():
            parameter.grad = None

    def forward(self):
        """Pass the batch through the network alone, as prediction does."""
        function = self.net.module_.eval()
        with torch.no_grad():
            for stage in function.stages:
                function._take(stage, self.batch[2])

    def predict(self):
        """Predict the batch."""
        self.estimator.predict(self.Y)


class DeepInverse:
    """The same step with deepinv, by a careful user or as it is shipped.

    Parameters
    ----------
    ours : Ours
        Whose network, images and number of transforms are used.
    fbp : bool
        Whether f starts from filtered back-projection, through a subclass that the
        user has to write, in place of conjugate gradients.
    """

    def __init__(self, ours, *, fbp):
        import deepinv

        class FilteredStart(deepinv.models.ArtifactRemoval):
            def forward(self, y, physics, **kwargs):
                return self.backbone_inference(physics.fbp(y), physics, y, **kwargs)

        class Backbone(torch.nn.Module):
            def __init__(self, network):
                super().__init__()
                self.network = network

            def forward(self, x, sigma=None, **kwargs):
                return self.network(x)

        from sklearn_ei.networks import ResidualUNet

        size = ours.images.shape[-1]
        n_views = ours.Y.shape[1]
        network = Backbone(ResidualUNet(1, **ours.estimator.network.get_params()))
        kind = FilteredStart if fbp else deepinv.models.ArtifactRemoval
        self.model = kind(network, mode="pinv")
        self.physics = deepinv.physics.Tomography(
            angles=n_views, img_width=size, normalize=False
        )
        rotate = deepinv.transform.Rotate(
            n_trans=ours.n_transforms,
            interpolation_mode="bilinear",
        )
        self.terms = [
            deepinv.loss.MCLoss(),
            deepinv.loss.EILoss(rotate, apply_noise=False),
        ]
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=5e-4)
        self.y = self.physics.A(torch.from_numpy(ours.images)[:, None])

    def step(self):
        """Take a training step."""
        self.optimizer.zero_grad()
        x = self.model(self.y, self.physics)
        loss = sum(
            term(x_net=x, y=self.y, physics=self.physics, model=self.model).mean()
            for term in self.terms
        )
        loss.backward()
        self.optimizer.step()
