"""The training pipeline: its steps, compiled by the SageMaker Python SDK, and its definition in SageMaker."""
