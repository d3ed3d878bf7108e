"""Data capture, decoded: from objects in S3 to rows in arrays. `ml.aws.traffic` is the door; nothing else uses this.

objects    which objects hold the lines of a window
stream     their bytes, in ranges, a few ahead, as whole lines
envelope   a line's JSON: when, whose, and the two bodies
columns    bodies of one form, many at once, by Arrow and DuckDB
exact      one body at a time, in any form, with all that is wrong with it
decode     a group of lines to rows: by columns where they are plain, exactly where they are not
aside      lines that cannot be read, kept
"""
