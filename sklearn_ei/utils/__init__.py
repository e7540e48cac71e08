"""Internal helpers: validation, devices, randomness, arrays."""
