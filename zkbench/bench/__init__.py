"""Timing of verified runs: cases, timers, provenance, records and the runner."""
