"""The optional serving image: a faster server for SageMaker's container contract, chosen in serving/production.yaml.

one_row.py answers the usual request of one row, app.py everything that is HTTP, server.py starts. Scores with the code
of ml/model that the image was built with; reads model.json of a model archive and executes nothing of it.
"""
