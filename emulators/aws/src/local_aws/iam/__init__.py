"""IAM's policy evaluation: documents, conditions, principals, decisions. Knows no server, no moto, no SDK."""
