"""Data capture: from objects in S3 to rows in arrays. `ml.aws.capture.reader` is the entry point.

object_listing   which objects may hold lines of a window
line_stream      their bytes as whole lines, with read-ahead
decode_pool      groups of lines, in a thread pool
decoder          a group of lines to rows, fast path or slow path
batch_decoder    fast path: the envelopes of many lines of one form
column_decoder   fast path: many bodies of one form, by Arrow and DuckDB (duckdb_json)
envelope         slow path: one envelope
record_decoder   slow path: one body, with everything that is wrong with it
decoded_rows     the resulting arrays and counters
dead_letter      lines that cannot be decoded
inventory        when traffic was captured, without reading it
"""
