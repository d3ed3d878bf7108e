"""Jobs whose instances each read a part of the input, without Spark, and the merge of what they have counted."""
