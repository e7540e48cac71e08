from sklearn_ei import EquivariantReconstructor, VolumeDisplay
from sklearn_ei.datasets import read_hdf5, write_tiff
from sklearn_ei.groups import Rotations
from sklearn_ei.operators import ParallelBeamCT, estimate_detector_offset
from sklearn_ei.preprocessing import DetectorBinner, transmission_to_attenuation

scan = read_hdf5(path)  # rows of the detector first: (n_rows, n_views, n_bins)
binner = DetectorBinner(4)
counts = binner.fit_transform(scan.measurements)
dark, flat = binner.transform_field(scan.dark), binner.transform_field(scan.flat)
Y = transmission_to_attenuation(counts, dark, flat)

guess = ParallelBeamCT(angles=scan.angles, image_shape=shape, n_bins=Y.shape[2])
operator = estimate_detector_offset(guess, Y).operator  # the axis of rotation

ei = EquivariantReconstructor(operator, Rotations(360), random_state=0).fit(Y)
volume, std = ei.predict(Y, return_std=True, n_bootstrap=8)  # and an error map
write_tiff(folder / "slices.tif", volume)
VolumeDisplay.from_predictions(volume, std).figure_.savefig(folder / "slices.png")
