"""Records as JSON: the fields of GitHub's REST API and of its webhook payloads. Changes nothing."""
