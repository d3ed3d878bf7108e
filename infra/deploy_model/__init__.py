"""The deploy Lambda: lets the endpoint serve the model that Git approved, and nothing else.

handler.py takes the event and reports, logic.py decides, access.py calls AWS, documents.py types what goes in and out.
It is deployed as it lies here, on the standard library and boto3 alone; it may import nothing of `ml`.
"""
