"""The verbs of the command line, one module each, composed from the packages below this one."""
