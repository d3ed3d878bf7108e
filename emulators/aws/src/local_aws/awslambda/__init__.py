"""AWS Lambda: functions run as processes, and asynchronous invocation with its retries."""
