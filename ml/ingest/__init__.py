"""Reads files of transactions (CSV, Parquet) and quarantines rows that break the data contract."""
