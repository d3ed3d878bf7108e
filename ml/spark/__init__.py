"""Preparation and training on SageMaker's managed Spark processing: sums over partitions, added in a fixed order."""
