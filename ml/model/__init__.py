"""Pure: frames in, values out. May import numerical libraries only: no AWS, no Git, no files but those it is given."""
