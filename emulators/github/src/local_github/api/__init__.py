"""The HTTP API: REST, GraphQL and the routing of requests."""
