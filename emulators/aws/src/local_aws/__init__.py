"""AWS emulator: executes SageMaker, CloudFormation, Lambda and EventBridge over HTTP on loopback, on top of moto."""
