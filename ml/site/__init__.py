"""The static site: what serves, a card of every model, a time line. Pages are made from values; nothing is decided."""
