"""fraudops: a repository that runs a fraud model in production. Each folder is named for what it may touch."""
