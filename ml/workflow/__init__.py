"""What a verb tells the GitHub Actions workflow that runs it: outputs, summaries, annotations, commit statuses."""
