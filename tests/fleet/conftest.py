from tests.console.conftest import console, operator

__all__ = ["console", "operator"]
