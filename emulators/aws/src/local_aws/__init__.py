"""AWS on one machine: SageMaker, CloudFormation, Lambda, EventBridge and STS over HTTP on loopback, on top of moto."""
