"""One module for each verb that a workflow calls; composes model, aws and gitops."""
