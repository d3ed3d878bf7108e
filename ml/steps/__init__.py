"""What runs inside SageMaker jobs and endpoints, under their file and environment contract and nothing else."""
