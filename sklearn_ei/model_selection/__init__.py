"""Scores to choose parameters by, with and without ground truth."""

from ._doubt import doubt
from ._estimators import tensors, unwrap
from ._held_out import held_out_score
from ._risk import told_noise
from ._self_consistency import (
    equivariance_score,
    round_trip,
    round_trip_score,
    score_without_truth,
)
from ._truth import neg_measurement_error_score, neg_nmse_score, psnr_score, ssim_score

__all__ = [
    "doubt",
    "equivariance_score",
    "held_out_score",
    "neg_measurement_error_score",
    "neg_nmse_score",
    "psnr_score",
    "round_trip",
    "round_trip_score",
    "score_without_truth",
    "ssim_score",
    "tensors",
    "told_noise",
    "unwrap",
]
