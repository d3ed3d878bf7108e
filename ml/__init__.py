"""fraudops: trains, approves, deploys and monitors a fraud model from a Git repository."""
