"""AWS STS: who calls, and roles assumed with a web identity."""
