"""The WSGI application of SageMaker's scikit-learn container, on `sagemaker-containers` alone.

AWS's own handler is in no package registry. This module starts sagemaker-containers as that handler does: the user's
module is installed and imported on the first request, and its functions are called by a Transformer behind a Worker.
It imports nothing of this project: it runs in the environment of `make serving-stack`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from sagemaker_containers.beta.framework import env, modules, server, transformer, worker

_application: Any = None


def main(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application that gunicorn calls; loads the user's module on the first request."""
    global _application  # noqa: PLW0603 - gunicorn takes a module-level function
    if _application is None:
        serving = env.ServingEnv()
        try:
            user = importlib.import_module(serving.module_name)
        except ImportError:
            user = modules.import_module(serving.module_dir, serving.module_name)
        functions = transformer.Transformer(model_fn=user.model_fn, transform_fn=user.transform_fn)
        functions.initialize()
        _application = worker.Worker(transform_fn=functions.transform, module_name=serving.module_name)
    answer: Iterable[bytes] = _application(environ, start_response)
    return answer


if __name__ == "__main__":
    server.start(env.ServingEnv().framework_module)
