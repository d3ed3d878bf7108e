"""Data capture: from objects in S3 to rows in arrays. `ml.aws.capture.reader` is the entry point.

object_listing  finds the objects that may hold lines of a window, and measures their volume
line_stream     downloads them in ranges, with a read-ahead
captured_lines  cuts ranges of objects into whole lines
captured_batches  reduces lines to batches of rows, and counts what is dropped
traffic_counts  reduces batches to the counts of one model's traffic
decode_pool     decodes groups of lines in threads
decoder         decodes one group of lines: by columns where they are uniform, else one by one
batch_envelope_decoder  decodes the envelopes of many uniform lines at once
envelope        decodes envelopes of any form, one line at a time
column_decoder  decodes many bodies of one format at once, with Arrow and DuckDB
record_decoder  decodes one body of any format and reports what is wrong with it
decoded_rows    arrays of decoded rows, and counts of schema findings
duckdb_json     parses columns of JSON texts
dead_letter_writer     stores lines that cannot be decoded
"""
