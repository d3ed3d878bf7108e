"""HTML pages, rendered on the server without scripts and external resources."""
