"""A logistic regression on millions of rows: its columns, the frauds that SMOTE adds without building them, the fit."""
