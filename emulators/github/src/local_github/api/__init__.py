"""The HTTP API: REST, GraphQL, and how a request finds the function that answers it."""
