"""Processing and training jobs: their file contract, isolation, logs and transfers to and from S3."""
