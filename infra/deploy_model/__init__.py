"""The deploy Lambda: deploys exactly the model that Git approved.

handler.py takes the event and reports, logic.py decides, access.py calls AWS, documents.py types input and output. It
is deployed as it is here, with the standard library and boto3 only; it imports nothing of `ml`.
"""
