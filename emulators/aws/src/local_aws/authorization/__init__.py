"""Authorization of every call: who calls, which IAM actions an operation needs, what the deployed policies say."""
