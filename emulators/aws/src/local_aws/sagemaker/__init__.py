"""Amazon SageMaker: pipelines, hosting and the model registry."""
