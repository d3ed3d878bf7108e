"""Validation of requests against AWS's service models, with AWS's messages."""
