"""The rules that a change of model-config/ must satisfy."""
