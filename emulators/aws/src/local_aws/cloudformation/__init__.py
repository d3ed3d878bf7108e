"""AWS CloudFormation: stacks whose resources exist in the emulator, updated and rolled back."""
