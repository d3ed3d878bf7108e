"""Git: bare repositories, and Git's smart HTTP protocol."""
