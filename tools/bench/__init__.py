"""Benchmarks: each row measured natively and in the guest, side by side in one run."""
