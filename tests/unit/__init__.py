"""Unit tests of the Python package."""
