"""Entry points that run inside SageMaker jobs and endpoints. They use SageMaker's files and environment only."""
