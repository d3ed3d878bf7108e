"""The only package that calls AWS (boto3 and the SageMaker SDK). Never calls Git or GitHub."""
