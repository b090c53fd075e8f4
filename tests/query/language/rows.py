"""The rows that the tests of the language ask for, by their row_id, as services and devices sent them."""

from cloud.logs.collector.duckdb_store import DuckDbStore
from tests.collector.batches import DAY_US, NOON_US, table_of

HOUR_US = 3_600_000_000

AT_NOON = {  # 2027-01-15T12:00:00Z
    1: b'<139>1 2027-01-15T11:59:59Z compute-01 nova-compute 71 - - @cee: {"message": "Live migration of instance failed: timed out after 300 seconds", "level": "ERROR", "logger": "nova.compute.manager", "request_id": "req-aaaa", "instance": "f0e1", "event": "migration.transfer.failed", "migration": "12", "source_compute": "compute-01", "dest_compute": "compute-02", "step_s": 300.5}',
    2: b'<142>1 2027-01-15T11:59:58Z compute-02 nova-compute 71 - - @cee: {"message": "live migration started", "level": "INFO", "request_id": "req-aaaa", "instance": "f0e1", "event": "migration.pre.started", "migration": "12"}',
    3: b'<134>1 2027-01-15T11:59:57Z controller-01 nova-api 9 - - @cee: {"message": "GET /v2/376/servers/detail", "level": "INFO", "request_id": "req-bbbb", "status": 200, "duration_s": 0.25}',
    4: b'<134>1 2027-01-15T11:59:57Z controller-01 nova-api 9 - - @cee: {"message": "POST /v2/376/servers", "level": "INFO", "request_id": "req-cccc", "status": 500, "duration_s": 12}',
    5: b'<134>1 2027-01-15T11:59:57Z controller-01 nova-api 9 - - @cee: {"message": "PUT /v2/376/servers/1", "level": "WARNING", "status": "503", "duration_s": 1e3}',
    6: b'<134>1 2027-01-15T11:59:57Z controller-01 nova-api 9 - - @cee: {"message": "DELETE /v2/376/servers/1", "status": 599.5}',
    7: b'<134>1 2027-01-15T11:59:57Z controller-01 nova-api 9 - - @cee: {"message": "OPTIONS /", "status": "not a number"}',
    8: b"<147>1 2027-01-15T11:59:57Z controller-02 nova-scheduler 7 - - No valid host was found.",
    9: b"<150>1 - controller-02 nova-conductor 7 - - 100% of the hosts were filtered out",
    10: b"<150>1 - controller-02 nova-conductor 7 - - 100x of the hosts were not",
    11: b"<150>1 - controller-02 nova-conductor 7 - - path C:\\temp\\file_a and fileXa",
    12: b"<150>1 - controller-02 nova-conductor 7 - - said \"no\" and 'maybe' (twice) [really] {so}",
}
AN_HOUR_LATER = {  # 2027-01-15T13:00:00Z
    13: "<27>1 - compute-03 Überwachung 1 - - Größe ÜBERSCHRITTEN auf compute-01".encode(),
    14: "<27>1 - compute-03 monitor 1 - - Μετανάστευση ΤΕΛΟΣ".encode(),
    15: "<27>1 - compute-03 monitor 1 - - הועבר \u202eabc\u202c עכשיו".encode(),
    16: "<27>1 - compute-03 monitor 1 - - 実例を移行しました 🚚".encode(),
    17: b"<0>1 - compute-03 kernel - - - Kernel panic - not syncing: VFS",
    18: b"<3>1 - compute-03 kernel - - - EXT4-fs error (device vda1): bad block 17",
    19: b"<86>1 - compute-03 sshd 88 - - Accepted publickey for nova from 10.0.0.1 port 8774",
    20: b"<86>1 - COMPUTE-03 sshd 88 - - Accepted password for root from 10.0.0.2:8774 at 10:32:11",
    21: b"<110>1 - compute-03 - - - - numbers 12 to 15 have no name",
    22: b"what is this",
    23: b"<134>1 2027-01-15T10:00:00Z compute-04 nova-api 9 - - my clock is three hours late",
    24: b'<139>1 - compute-01 nova-compute 71 - - @cee: {"message": "Traceback (most recent call last):\\n  File \\"x.py\\"\\nTimeoutError: lost", "level": "TRACE"}',
}
A_DAY_LATER = {  # 2027-01-16T12:00:00Z
    25: b'<142>1 - compute-05 nova-compute 2 MSG7 [origin@1 ip="10.0.0.5"] @cee: {"message": "dots", "a.b": "flat", "my key": "spaced", "note": "it \\"timed\\" out"}',
    26: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "nested", "a": {"b": "deep", "c": 7}, "tags": ["red", "blue"]}',
    27: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "types", "is_safe": true, "nothing": null, "empty": "", "id": 12345678901234567891}',
    28: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "types again", "is_safe": false, "id": 12345678901234567890, "version": "1.10"}',
    29: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "odd numbers", "status": "NaN", "version": 1.1}',
    30: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "odder numbers", "status": "Infinity", "temperature": -5.5}',
    31: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "cause elsewhere", "error": "Connection TIMED OUT", "Level": "five", "temperature": 20}',
    32: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "injected", "x": "\' OR 1=1 --", "y": "%", "z": "a_b"}',
    33: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "not injected", "x": "\' OR 1=2 --", "y": "anything", "z": "axb"}',
    34: b'<142>1 - compute-05 nova-compute 2 - - @cee: {"message": "slashes", "path": "/var/lib/nova/instances", "a/b": "one", "c~d": "two"}',
    35: b'<145>1 - compute-05 nova-scheduler 2 - - @cee: {"message": "alert", "event": "canary"}',
    36: b'<146>1 - compute-05 nova-scheduler 2 - - @cee: {"message": "crit", "event": "canary"}',
    37: b'<148>1 - compute-05 nova-scheduler 2 - - @cee: {"message": "warning and nothing else", "project": "376"}',
    38: b'<149>1 - compute-05 nova-scheduler 2 - - @cee: {"message": "notice", "project": "376", "retries": 0}',
    39: b'<151>1 - compute-05 nova-scheduler 2 - - @cee: {"message": "debug", "project": "377", "retries": -0.0}',
    40: b"<151>1 - compute-05 nova-scheduler 2 - - std::bad_alloc at fe80::1, len=20 status:200",
}
ROWS = {**AT_NOON, **AN_HOUR_LATER, **A_DAY_LATER}


def fill(store: DuckDbStore) -> None:
    """All of ROWS; their row_ids are the keys."""
    store.append(table_of(*AT_NOON.values(), observed_us=NOON_US))
    store.append(table_of(*AN_HOUR_LATER.values(), observed_us=NOON_US + HOUR_US))
    store.append(table_of(*A_DAY_LATER.values(), observed_us=NOON_US + DAY_US))
