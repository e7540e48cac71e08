"""Pipeline steps between what a detector counts and what an operator measures."""

from ._binning import DetectorBinner
from ._readings import AirNormalizer, DeadBinMasker, ZingerRemover
from ._rings import RingRemover
from ._scaler import MeasurementScaler
from ._transmission import TransmissionToAttenuation, transmission_to_attenuation

__all__ = [
    "AirNormalizer",
    "DeadBinMasker",
    "DetectorBinner",
    "MeasurementScaler",
    "RingRemover",
    "TransmissionToAttenuation",
    "ZingerRemover",
    "transmission_to_attenuation",
]
