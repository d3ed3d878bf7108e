"""Runs the loop under seeded faults on both emulators, and checks invariants after each run."""
