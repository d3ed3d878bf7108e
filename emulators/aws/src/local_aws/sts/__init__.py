"""AWS STS: the caller's identity, and roles assumed with a web identity."""
