"""Adapts a serving model to new patterns of fraud: its part for known patterns stays, a part for new ones is added."""
