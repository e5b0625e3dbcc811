"""What a product needs before its first start, in one process: five of them would take five times as long."""

import django
from django.core.management import call_command

FIRST_MKEK = "product-mkek-1"


def main():
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("mkek_generate", "--label", FIRST_MKEK, "--activate")
    call_command(
        "api_key", "create", *("--project", "p1", "--user", "u1", "--role", "member", "--name", "tests")
    )


if __name__ == "__main__":
    main()
