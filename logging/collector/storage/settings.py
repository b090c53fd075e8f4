"""What can be set about the store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Sizes and times of the store; the defaults are measured."""

    memory_limit: str = "256MB"
    """DuckDB's own bound, which its cache of blocks fills; what does not fit goes to the data directory's `tmp`.

    Merging 5 million rows takes no longer than with 1 GB.
    """
    temp_limit: str = "10GB"
    """The bound on `tmp`."""
    seal_s: float = 3600.0
    """The age at which the live file is sealed."""
    seal_rows: int = 20_000_000
    """The number of rows at which the live file is sealed."""
    idle_seal_s: float = 300.0
    """How long the live file of a past day waits for rows that come late."""
    checkpoint_bytes: int = 64 << 20
    """The size of the write-ahead log from which on it is written into the file.

    Flushes of 2,500 rows cost 3.8 us a row at 64 MiB, 5.9 at DuckDB's own 16; the log's rows are held in memory.
    """
    text_index: bool = True
    """Whether sealed files get an index of their texts, and questions use it."""


DEFAULTS = StoreSettings()
