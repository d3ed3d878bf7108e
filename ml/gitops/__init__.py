"""The only place that talks to Git and GitHub. Knows nothing of AWS."""
