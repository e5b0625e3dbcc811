"""``make schemathesis``: schemathesis against a Keepsite of its own, its options passed on."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.product import CHECKOUT, Product

CONFIG = Path(__file__).with_name("schemathesis.toml")


def command(product, *options):
    """Schemathesis's command line, and the environment that its hooks read."""
    admin = product.make_key(project="p1", user="u1", roles=["admin"])
    arguments = [
        Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG, "run",
        f"{product.url}/docs/openapi.json", "--header", f"X-Auth-Token: {admin}",
        "--checks", "all",
        "--exclude-checks", "use_after_free",  # in the hooks, where it leaves ACLs out
        "--generation-database", "none", *options,
    ]  # fmt: skip
    return arguments, {**os.environ, **product.environment, "PYTHONPATH": str(CHECKOUT)}


def main():
    with tempfile.TemporaryDirectory(prefix="keepsite-schemathesis-") as folder:
        product = Product(Path(folder) / "state").setup()
        try:
            product.start("api")
            arguments, environment = command(product, *sys.argv[1:])
            return subprocess.run(arguments, cwd=CHECKOUT, env=environment, check=False).returncode
        finally:
            product.stop()


if __name__ == "__main__":
    sys.exit(main())
