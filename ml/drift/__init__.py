"""The drift check: reads captured traffic and labels, judges windows, and creates retrain requests."""
