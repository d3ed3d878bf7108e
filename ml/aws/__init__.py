"""The only place that talks to AWS (boto3 and the SageMaker SDK). Knows nothing of Git."""
