"""AWS Lambda: functions that run as processes, and asynchronous invocation with retries."""
