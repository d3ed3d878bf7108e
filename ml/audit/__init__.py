"""Answers from the records of what happened: decisions of transactions, what served when. Reads only."""
