"""Monthly partitions of the items in PostgreSQL.

A UUIDv7 begins with its time, so a range of ids is a range of times: old months lie apart, and
their indexes are not touched by what comes in. Ids of other kinds, or of unlikely times, go to the
default partition.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

FIRST_MONTH: Final = (2020, 1)
"""Nobody had UUIDv7 before; ids that claim so are of another kind."""
_LOCK: Final = 0x6974656D73  # any number, the same in every replica

Month = tuple[int, int]


def month_of(item_id: str) -> Month | None:
    """Return year and month of a UUIDv7 in UTC; None: it is none, or older than the kind."""
    if item_id[14] != "7":
        return None
    milliseconds = int(item_id[:8] + item_id[9:13], 16)
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError):  # beyond the year 9999
        return None
    month = (moment.year, moment.month)
    return month if month >= FIRST_MONTH else None


def next_month(month: Month) -> Month:
    """Return the month behind `month`."""
    year, number = month
    return (year + 1, 1) if number == 12 else (year, number + 1)


def first_id(month: Month) -> str:
    """Return the smallest id of a month."""
    milliseconds = round(datetime(*month, 1, tzinfo=UTC).timestamp() * 1000)
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


class Partitions:
    """Makes partitions when their first item comes."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._known: set[Month] = set()

    def missing(self, item_ids: Iterable[str], now_us: int) -> set[Month]:
        """Return the months that lack a partition and should have one.

        Args:
            item_ids: UUIDs in text form.
            now_us: The time; ids from beyond next month are not believed.
        """
        moment = datetime.fromtimestamp(now_us / 1e6, UTC)
        latest = next_month((moment.year, moment.month))
        # The time is in the first digits; most batches have one or two different beginnings.
        samples = {item_id[:8]: item_id for item_id in item_ids if item_id[14] == "7"}
        months = {month_of(item_id) for item_id in samples.values()}
        return {
            month
            for month in months
            if month is not None and month <= latest and month not in self._known
        }

    def make(self, connection: psycopg.Connection, month: Month) -> None:
        """Make the partition of a month, unless it is there.

        Args:
            connection: Inside a transaction; if it is rolled back, forget this object, too.
            month: The month.
        """
        name = f"items_{month[0]}_{month[1]:02d}"
        lower, upper = first_id(month), first_id(next_month(month))
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        found = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
        if found is None or found[0] is None:
            # Rows that came before their partition must move, or it could not be attached.
            connection.execute(f"CREATE TABLE {name} (LIKE items INCLUDING ALL)".encode())
            connection.execute(
                "WITH moved AS (DELETE FROM items_other WHERE item_id >= %s AND item_id < %s "
                f"RETURNING *) INSERT INTO {name} SELECT * FROM moved".encode(),
                (lower, upper),
            )
            connection.execute(
                f"ALTER TABLE items ATTACH PARTITION {name} "
                f"FOR VALUES FROM ('{lower}') TO ('{upper}')".encode()
            )
        self._known.add(month)
