"""Data capture: from objects in S3 to rows in arrays. `ml.aws.capture.reader` is the entry point.

objects    which objects hold the lines of a window
stream     their bytes, in ranges, a few ahead, as whole lines
engine     DuckDB on columns of texts
together   the envelopes of many lines of one kind: when, whose, and the two bodies
envelope   the same, one line at a time
columns    bodies of one form, many at once, by Arrow and DuckDB
exact      one body at a time, in any form, with all that is wrong with it
decode     a group of lines to rows: by columns where they are plain, exactly where they are not
working    a few groups of lines at a time
aside      lines that cannot be read, kept
"""
