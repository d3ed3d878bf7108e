"""SageMaker Pipelines: executes pipeline definitions, the same JSON that AWS gets.

    operations   the AWS operations (StartPipelineExecution …), request tokens, the list of executions
    definition   parses and validates; parameters, conditions, reference_paths and argument_validation are its grammar
    execution    schedules steps: order, parallelism, stop and retry
    step_types   what each step type does; step_cache and retry_policies decide whether it runs, or runs again
    jobs         processing and training jobs: file contract, isolation, logs, transfers

Installs nothing into the Python that runs it.
"""
