"""Full-text search over the `search` columns: FTS5 on SQLite, a GIN index over tsvector on PostgreSQL.

The migrations make the indexes and keep them true (triggers on SQLite). Used by `memories` and `feedback`.
"""

from __future__ import annotations

from collections.abc import Sequence

from antiphon.store.db import Tx
from antiphon.store.search_terms import fts5_query, tsquery

_OWNERS = {
    "antiphon_memory": "scope = %s AND subject = %s",
    "antiphon_feedback": "person_id = %s",
}
"""Whose rows are searched, as PostgreSQL's indexes of these tables know it."""
_SQLITE = """
SELECT rowid FROM {table}_fts WHERE {table}_fts MATCH %s ORDER BY bm25({table}_fts, 0.0, 1.0), rowid DESC LIMIT %s
"""
_POSTGRES = """
SELECT id FROM {table} WHERE {owner} AND to_tsvector('simple', search) @@ to_tsquery('simple', %s)
ORDER BY ts_rank(to_tsvector('simple', search), to_tsquery('simple', %s)) DESC, id DESC LIMIT %s
"""


def matching(tx: Tx, table: str, owner: str, terms: Sequence[str], limit: int, *owned_by: object) -> list[int]:
    """Ids of the rows of one owner that hold any of the terms, best first.

    `owner` is the index's word for the owner on SQLite, `owned_by` the columns' values on PostgreSQL.
    """
    if not terms:
        return []
    if tx.postgres:
        wanted = tsquery(terms)
        sql = _POSTGRES.format(table=table, owner=_OWNERS[table])
        rows = tx.rows(sql, *owned_by, wanted, wanted, limit)
    else:
        rows = tx.rows(_SQLITE.format(table=table), fts5_query(terms, owner), limit)
    return [row[0] for row in rows]
