"""AWS and GitHub on a laptop: the same calls, answered on loopback. Nothing in the product knows of it."""
