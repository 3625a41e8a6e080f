"""Benchmarks: monarch compared with other programs, in the same run."""
