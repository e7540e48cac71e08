"""2-D parallel-beam computed tomography on an ODL geometry."""

import math

import numpy as np

from ..utils.odl import import_odl
from ._ray_transform import RayTransformOperator, view_partition


class ParallelBeamCT(RayTransformOperator):
    """Parallel-beam CT: line integrals of a 2-D image.

    The geometry is ODL's ``Parallel2dGeometry``; the rays that it defines are
    integrated by Joseph's method and kept as a sparse matrix A and its exact
    transpose.

    Parameters
    ----------
    n_views : int, default=50
        Number of views, spread evenly over the half circle: view v stands at
        v · 180°/n_views.
    image_shape : tuple (H, W), default=None
        Shape of the images. None: a square that covers all that the detector
        sees, with one pixel for each bin (unless ``pixel_size`` says otherwise):
        128 × 128 for 128 bins. The object often needs less.
    n_bins : int, default=None
        Number of detector bins. None: as many as cover the diagonal of
        ``image_shape``, 183 for 128 × 128; where ``image_shape`` is open, too,
        the bins that see the longer side of the images that are measured, 128.
    angles : array-like of shape (n_views,), default=None
        View angles in degrees, in place of even spacing. ``n_views`` is left out
        then, or as many.
    pixel_size : float, default=None
        Side of a pixel. Its unit is the length unit of the line integrals:
        with ``pixel_size`` in cm, images are attenuations in 1/cm. None: that of
        a bin, and 1 where that is open, too.
    bin_size : float, default=None
        Width of a detector bin, in the unit of ``pixel_size``. None: one pixel.
    filter : {"auto", "ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, \
            default="auto"
        Window on the ramp of the filtered back-projection A†. ``"hann"``
        suppresses noise best. ``"auto"`` is ``"ram-lak"``, and ``"hann"`` in
        :meth:`suited_to_noise`.
    detector_offset : float, default=0.0
        How far the middle of the detector is off the centre of rotation, in the
        unit of ``pixel_size`` and towards increasing bins. ``n_bins=None`` does
        not take it into account if ``image_shape`` is given. In a full turn it
        may be so large that the detector hardly reaches beyond the centre (half
        acquisition).
    n_refinements : int, default=0
        Steps x += w·FBP(y − A x) that follow the filtered back-projection.
    memory_budget : int or str, default="4 GB"
        Largest size of the sparse matrices of A and Aᵀ together, in bytes or
        with a unit, estimated as 16 bytes · n_rays · 2 max(H, W), and half or a
        quarter of that where the scan has :meth:`symmetries`. Beyond it the rays
        are followed anew at each call, which needs next to no memory and takes
        much longer.

    Attributes
    ----------
    measurement_shape : tuple (n_views, n_bins) or None
        Shape of a sinogram; None while the image shape is open.

    Notes
    -----
    With the ray of view θ and bin position t, x(s) along it, and Joseph's
    interpolation (see :func:`~sklearn_ei.operators._joseph.joseph_matrix`),

    - forward: (A x)(θ, t) = ∫ x(t·(cos θ, sin θ) + s·(sin θ, −cos θ)) ds;
    - adjoint: Aᵀ, the transpose of that matrix;
    - pseudo-inverse: FBP(y) = (τ/p²) Aᵀ(Δθ K y), with the band-limited ramp K
      (Kak and Slaney, 1988, section 3.3), bins τ and pixels p. Δθ is the share of
      each view in the half circle, half of the gaps to both its neighbours,
      however unevenly views are spread; a gap of more than 45° that is far wider
      than all others is that of a limited angle, and counts as one step.

    A displaced detector (``detector_offset``) misses lines beyond its short edge.
    Where the views go all around, their measurements from the other side are put
    there before filtering, and Aᵀ reaches there. A shorter scan has none: views
    are continued by zeros, and lines that it measures twice are shared (Wang,
    2002).

    Row 0 of an image is its top: angles and orientation are those of
    ``skimage.transform.radon``. In ODL's axes (x, y upward) the image is
    ``np.rot90(image, -1)``.

    Views spread evenly over a half or a full turn are mirrored copies of each
    other: a quarter of A is stored, and applied to four copies of the images at
    once, which takes a quarter of the memory, and less time.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import ParallelBeamCT
    >>> operator = ParallelBeamCT(n_views=30, image_shape=(32, 32))
    >>> operator.measurement_shape
    (30, 47)
    >>> operator.measure(np.ones((2, 32, 32))).shape
    (2, 30, 47)
    """

    def __init__(
        self,
        n_views=50,
        image_shape=None,
        *,
        n_bins=None,
        angles=None,
        pixel_size=None,
        bin_size=None,
        filter="auto",
        detector_offset=0.0,
        n_refinements=0,
        memory_budget="4 GB",
    ):
        self.n_views = n_views
        self.image_shape = image_shape
        self.n_bins = n_bins
        self.angles = angles
        self.pixel_size = pixel_size
        self.bin_size = bin_size
        self.filter = filter
        self.detector_offset = detector_offset
        self.n_refinements = n_refinements
        self.memory_budget = memory_budget

    def _covering(self, image_shape):
        diagonal = self._pixel * math.hypot(*image_shape)
        return 2 * math.ceil(diagonal / self._bin_width / 2 - 1e-9) + 1

    @property
    def _angles_rad(self):
        if self.angles is None:
            return np.arange(self.n_views) * (np.pi / self.n_views)
        return np.deg2rad(np.asarray(self.angles, dtype=np.float64))

    def geometry(self):
        """Return the ODL geometry whose rays this operator integrates along.

        Returns
        -------
        geometry : odl.applications.tomo.Parallel2dGeometry
            With the distinct view angles in increasing order, as ODL requires.
        """
        odl, tomo = import_odl()
        n_bins = self.measurement_shape[1]
        half = n_bins * self._bin_width / 2
        middle = self.detector_offset
        bins = odl.uniform_partition(middle - half, middle + half, n_bins)
        return tomo.Parallel2dGeometry(view_partition(self._angles_rad), bins)
