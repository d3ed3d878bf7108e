"""The demo and the simulated year, played on the emulators. Only `ml.cli` imports it."""
