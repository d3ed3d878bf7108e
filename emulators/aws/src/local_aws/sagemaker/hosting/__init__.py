"""SageMaker hosting: endpoints as processes that answer over HTTP, blue/green updates, data capture."""
