from secrets_app.services.access import acl_of, kind_of, target_of
from secrets_app.services.acls import ReadAccess, delete_acl, merge_acl, read_acl, replace_acl
from secrets_app.services.consumers import (
    ContainerUse,
    SecretUse,
    live_consumers,
    register_consumer,
    remove_consumer,
)
from secrets_app.services.containers import (
    NEEDED_NAMES,
    PLACES,
    Place,
    add_secret,
    check_is_generic,
    create_container,
    delete_container,
    remove_secret,
)
from secrets_app.services.metadata import (
    add_metadatum,
    change_metadatum,
    delete_metadatum,
    read_metadata,
    read_metadatum,
    replace_metadata,
)
from secrets_app.services.payloads import read_payload, require_payload_wanted, store_payload
from secrets_app.services.purging import BATCH_ROWS, Purgeable, Purging, purge
from secrets_app.services.recovery import (
    chosen_containers,
    chosen_secrets,
    deleted_rows,
    restore_container,
    restore_secret,
)
from secrets_app.services.retirement import rows_of_project
from secrets_app.services.secrets import (
    Description,
    NewPayload,
    create_secret,
    delete_secret,
    withdraw_secret,
)

__all__ = [
    "BATCH_ROWS",
    "NEEDED_NAMES",
    "PLACES",
    "ContainerUse",
    "Description",
    "NewPayload",
    "Place",
    "Purgeable",
    "Purging",
    "ReadAccess",
    "SecretUse",
    "acl_of",
    "add_metadatum",
    "add_secret",
    "change_metadatum",
    "check_is_generic",
    "chosen_containers",
    "chosen_secrets",
    "create_container",
    "create_secret",
    "delete_acl",
    "delete_container",
    "delete_metadatum",
    "delete_secret",
    "deleted_rows",
    "kind_of",
    "live_consumers",
    "merge_acl",
    "purge",
    "read_acl",
    "read_metadata",
    "read_metadatum",
    "read_payload",
    "register_consumer",
    "remove_consumer",
    "remove_secret",
    "replace_acl",
    "replace_metadata",
    "require_payload_wanted",
    "restore_container",
    "restore_secret",
    "rows_of_project",
    "store_payload",
    "target_of",
    "withdraw_secret",
]
