"""What several subjects share: registry checks against approval records, and the pull requests of the bot."""
