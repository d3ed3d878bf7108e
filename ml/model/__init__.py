"""Pure model code: frames in, values out. Imports numerical libraries only. Calls no AWS and no Git."""
