"""Real measurements, from the instrument's files to images: all methods, side by side.

Run ``python -m benchmarks.real --help`` from the root of the repository.
"""
