"""CloudFormation: stacks, change sets, and the roles of the workflows. Independent of the templates' content."""
