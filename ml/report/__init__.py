"""Renders pages and plots from values. Computes no verdict, and reads no other source."""
