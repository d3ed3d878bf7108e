"""CloudFormation: stacks, change sets, and the roles of the workflows. Knows no template by content."""
