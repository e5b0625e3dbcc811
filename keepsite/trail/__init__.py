"""The audit trail, proven whole: node's files collected into the database, chained and sealed by the HSM.

``collecting`` copies what a node's files say into chained segments, ``sealing`` has the
HSM seal how far each chain goes, ``verifying`` says whether all of it still holds.
"""
