"""The list of functions against those that this DuckDB has: a new one is neither allowed nor overlooked."""

import duckdb

from cloud.logs.query.sql.functions import FUNCTIONS, TABLE_FUNCTIONS

_WORDS = """
    can_cast_implicitly cast_to_type col_description combine constant_or_null create_sort_key current_catalog
    current_connection_id current_database current_query current_query_id current_role current_schema current_schemas
    current_setting current_transaction_id current_user currval finalize format_pg_type format_type generate_subscripts
    get_block_size get_type getvariable in_search_path inet_client_addr inet_client_port inet_server_addr inet_server_port
    is_histogram_other_bin json_deserialize_sql json_serialize_plan json_serialize_sql map_to_pg_oid nextval
    obj_description parse_duckdb_log_message replace_type session_user setseed shobj_description sleep_ms stats
    timetz_byte_comparable txid_current user variant_bytes_to_variant variant_to_parquet_variant vector_type version
    write_log
"""
REFUSED_WORDS = frozenset(_WORDS.split())
REFUSED_BEGINNINGS = ("__internal_", "has_", "icu_collate_", "pg_", "st_")


def names(*kinds: str) -> set[str]:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE list_contains(?, function_type)", [list(kinds)]
        ).fetchall()
    return {str(name).lower() for (name,) in found}


def test_each_function_is_either_allowed_or_known_to_be_refused() -> None:
    there = names("scalar", "aggregate", "macro")
    refused = {name for name in there - FUNCTIONS if name in REFUSED_WORDS or name.startswith(REFUSED_BEGINNINGS)}
    assert there - FUNCTIONS - refused == set()
    assert not REFUSED_WORDS & FUNCTIONS
    assert FUNCTIONS - there == {"unnest"}


def test_the_table_functions_are_there_and_few() -> None:
    assert TABLE_FUNCTIONS - names("table") == set()
    assert len(TABLE_FUNCTIONS) == 5
