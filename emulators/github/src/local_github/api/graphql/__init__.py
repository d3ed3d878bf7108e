"""The part of GitHub's GraphQL API that gh uses, over the same records as REST."""
