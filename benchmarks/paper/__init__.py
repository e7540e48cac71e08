"""The tables and figures of Chen, Tachella and Davies (ICCV 2021), one command each.

Run ``python -m benchmarks.paper --help`` from the root of the repository.
"""
