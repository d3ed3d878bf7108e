"""GraphQL as far as gh asks it: GitHub's names over the same records as REST."""
