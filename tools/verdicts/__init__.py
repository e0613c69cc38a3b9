"""Compares the verdicts of `compat report` with what happens when the programs run."""
