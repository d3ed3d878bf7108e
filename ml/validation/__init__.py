"""Validation of changes of model-config/."""
