"""2-D fan-beam computed tomography on an ODL geometry."""

import math

import numpy as np

from ..utils.odl import import_odl
from ..utils.params import check_option, check_real
from ._ray_transform import RayTransformOperator, view_partition


class FanBeamCT(RayTransformOperator):
    """Fan-beam CT: line integrals of a 2-D image along rays from a point source.

    The geometry is ODL's ``FanBeamGeometry``; the rays that it defines are
    integrated by Joseph's method and kept as a sparse matrix A and its exact
    transpose.

    Parameters
    ----------
    n_views : int, default=50
        Number of views, spread evenly over the ``scan``.
    image_shape : tuple (H, W), default=None
        Shape of the images. None: a square that covers all that the detector
        sees, with one pixel for each bin (unless ``pixel_size`` says otherwise)
        and the source outside its circle. The object often needs less.
    source_distance : float
        From the source to the centre of rotation, in the unit of
        ``pixel_size``. The source must stay outside the circle around the image.
    detector_distance : float, default=0.0
        From the centre of rotation to the detector, in the same unit.
    detector : {"flat", "curved"}, default="flat"
        A straight detector, or one that is curved around the source, whose bins
        are an equal angle apart.
    scan : {"full", "short"}, default="full"
        ``"full"``: view v stands at v · 360°/n_views. ``"short"``: 180° and the
        fan angle, from 0° on, the least that measures every line.
    n_bins : int, default=None
        Number of detector bins. None: as many as cover the circle around
        ``image_shape``; where that is open, too, as many as the images that are
        measured have pixels along their longer side.
    angles : array-like of shape (n_views,), default=None
        View angles in degrees, in place of ``scan`` and ``n_views``, which is left
        out then, or as many. At 0° the source is below the image and bins increase
        to the right; the scanner turns counter-clockwise.
    pixel_size : float, default=None
        Side of a pixel. Its unit is the length unit of the line integrals. None:
        that of a bin brought back to the centre of rotation, ``bin_size`` ·
        source_distance/(source_distance + detector_distance), and 1 where
        ``bin_size`` is open, too.
    bin_size : float, default=None
        Width of a detector bin along the detector, in the unit of
        ``pixel_size``. None: one pixel, magnified onto the detector.
    filter : {"auto", "ram-lak", "shepp-logan", "cosine", "hamming", "hann"}, \
            default="auto"
        Window on the ramp of the filtered back-projection A†. ``"auto"`` is
        ``"ram-lak"``, and ``"hann"`` in :meth:`suited_to_noise`.
    detector_offset : float, default=0.0
        How far the middle of the detector is off the central ray, along the
        detector and towards increasing bins. ``n_bins=None`` does not take it
        into account if ``image_shape`` is given. In a full turn it may be so large
        that the detector hardly reaches beyond the central ray.
    n_refinements : int, default=0
        Steps x += w·FBP(y − A x) that follow the filtered back-projection.
    memory_budget : int or str, default="4 GB"
        Largest size of the sparse matrices of A and Aᵀ together, as in
        :class:`~sklearn_ei.operators.ParallelBeamCT`.

    Attributes
    ----------
    measurement_shape : tuple (n_views, n_bins) or None
        Shape of a sinogram; None while the image shape is open.

    Notes
    -----
    With the source R·(sin β, −cos β) of view β, the ray direction d(β, γ) of
    fan angle γ, and Joseph's interpolation,

    - forward: (A x)(β, γ) = ∫ x(R·(sin β, −cos β) + s·d(β, γ)) ds;
    - adjoint: Aᵀ, the transpose of that matrix;
    - pseudo-inverse: FBP(y) = Σ_k m_k Aᵀ(v_k b K w b y), where K is the ramp at
      the bins' spacing τ' in the centre of rotation, times τ'/p², and
      b = √Δβ cos γ. Δβ is the share of each view in the circle, half of the gaps
      to both its neighbours, however unevenly views are spread; w is the share of
      a ray in its line, which is measured again from the other side: ½ in a full
      turn, and smooth weights like Parker's (1982) where a gap of more than 8° is
      far wider than all others. For a curved detector the spacing is the angle
      Δγ, and K has Kak and Slaney's factor (γ/sin γ)².

    A displaced detector (``detector_offset``) misses lines beyond its short edge.
    Where the views go all around, their measurements from the other side are put
    there before filtering, and Aᵀ reaches there, too.

    Kak and Slaney (1988, section 3.4) weight the back-projection by 1/U², with
    the relative distance U from the source. Aᵀ contains one factor 1/U already,
    as rays spread; Σ_k m_k v_k is the other one. In a full turn that is its mean
    over all views, m = 1/(1 − r²/R²) at the distance r from the centre, which is
    enough, since every line is measured from both ends. Elsewhere two harmonics
    of the angle between pixel and source are added (see
    :func:`~sklearn_ei.operators._view_weights.distance_weights`).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ei.operators import FanBeamCT
    >>> operator = FanBeamCT(
    ...     n_views=60, image_shape=(32, 32), source_distance=100, detector_distance=50
    ... )
    >>> operator.measurement_shape
    (60, 49)
    >>> operator.measure(np.ones((2, 32, 32))).shape
    (2, 60, 49)
    """

    def __init__(
        self,
        n_views=50,
        image_shape=None,
        *,
        source_distance,
        detector_distance=0.0,
        detector="flat",
        scan="full",
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
        self.source_distance = source_distance
        self.detector_distance = detector_distance
        self.detector = detector
        self.scan = scan
        self.n_bins = n_bins
        self.angles = angles
        self.pixel_size = pixel_size
        self.bin_size = bin_size
        self.filter = filter
        self.detector_offset = detector_offset
        self.n_refinements = n_refinements
        self.memory_budget = memory_budget

    def _check_params(self):
        super()._check_params()
        positive = {"min_val": 0, "include_boundaries": "neither"}
        check_real("source_distance", self.source_distance, **positive)
        check_real("detector_distance", self.detector_distance, min_val=0)
        check_option("detector", self.detector, ("flat", "curved"))
        check_option("scan", self.scan, ("full", "short"))

    @property
    def _source_to_detector(self):
        return self.source_distance + self.detector_distance

    @property
    def _magnification(self):
        return self._source_to_detector / self.source_distance

    @property
    def _largest_side(self):
        return math.sqrt(2) * self.source_distance

    def _covering(self, image_shape):
        radius = self._pixel * math.hypot(*image_shape) / 2
        if radius >= self.source_distance:
            raise ValueError(
                f"Got source_distance={self.source_distance}, inside the circle around "
                f"images of shape {image_shape}; expected more than {radius:.6g}."
            )
        edge = math.asin(radius / self.source_distance)
        if self.detector == "flat":
            edge = math.tan(edge)
        half = edge * self._source_to_detector / self._bin_width
        return 2 * math.ceil(half - 1e-9) + 1

    @property
    def _bin_range(self):
        """Ends of the detector, as a length (flat) or an angle (curved)."""
        half = self.measurement_shape[1] * self._bin_width / 2
        scale = 1.0 if self.detector == "flat" else 1 / self._source_to_detector
        return (
            (self.detector_offset - half) * scale,
            (self.detector_offset + half) * scale,
        )

    @property
    def _angles_rad(self):
        if self.angles is not None:
            return np.deg2rad(np.asarray(self.angles, dtype=np.float64))
        if self.scan == "full":
            return np.arange(self.n_views) * (2 * np.pi / self.n_views)
        edge = max(map(abs, self._bin_range))
        if self.detector == "flat":
            edge = math.atan(edge / self._source_to_detector)
        turn = min(np.pi + 2 * edge, 2 * np.pi)
        return (np.arange(self.n_views) + 0.5) * (turn / self.n_views)

    def geometry(self):
        """Return the ODL geometry whose rays this operator integrates along.

        Returns
        -------
        geometry : odl.applications.tomo.FanBeamGeometry
            With the distinct view angles in increasing order, as ODL requires.
        """
        odl, tomo = import_odl()
        return tomo.FanBeamGeometry(
            view_partition(self._angles_rad),
            odl.uniform_partition(*self._bin_range, self.measurement_shape[1]),
            src_radius=self.source_distance,
            det_radius=self.detector_distance,
            det_curvature_radius=(
                None if self.detector == "flat" else self._source_to_detector
            ),
        )
