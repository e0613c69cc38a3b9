"""Tests: unit (Python), guest programs, and integration with real programs."""
