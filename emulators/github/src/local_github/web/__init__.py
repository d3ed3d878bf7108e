"""The pages of the local GitHub, rendered on the server, with no asset from elsewhere."""
