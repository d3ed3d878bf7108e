"""The product's tests and benchmarks. A package, because a dependency installs another one named `tests`."""
