"""Pipeline steps between what a detector counts and what an operator measures."""

from ._scaler import MeasurementScaler
from ._transmission import TransmissionToAttenuation, transmission_to_attenuation

__all__ = [
    "MeasurementScaler",
    "TransmissionToAttenuation",
    "transmission_to_attenuation",
]
