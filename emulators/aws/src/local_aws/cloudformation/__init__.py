"""AWS CloudFormation: stacks whose resources exist in the emulator, with updates, change sets and rollbacks."""
