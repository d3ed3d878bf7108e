"""The drift check: reads captured traffic and labels, evaluates windows, and creates retrain requests."""
