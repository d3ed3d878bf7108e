"""An emulator of GitHub on loopback: Git over HTTP, REST, GraphQL, Actions and pages."""
