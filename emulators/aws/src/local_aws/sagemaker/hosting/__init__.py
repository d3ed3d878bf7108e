"""SageMaker hosting: endpoints backed by model servers, blue/green updates, data capture."""
