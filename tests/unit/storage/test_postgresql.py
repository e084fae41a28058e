"""What is particular to PostgreSQL. Collected where its server is installed."""

from __future__ import annotations

import os
import sys
import threading

import pytest
import sqlalchemy as sa

from nbpipe.errors import ConfigError, StateBusyError, StateError
from nbpipe.storage.open import open_store
from tests.databases import fresh_schema, postgresql_programs
from tests.stores import new


def test_without_the_driver_the_way_to_install_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "nbpipe.storage.postgresql", raising=False)
    with pytest.raises(ConfigError, match=r"jupyterlab-nbpipe\[postgresql\]"):
        open_store("postgresql://host/db", root=tmp_path)


if postgresql_programs():
    from nbpipe.storage.postgresql import PostgreSQLDatabase
    from nbpipe.storage.sql import SqlStateStore
    from nbpipe.storage.versions import prepare

    @pytest.fixture
    def url(postgresql, request):
        return fresh_schema(postgresql, request.node.name)

    @pytest.fixture
    def store(url, tmp_path):
        opened = open_store(url, root=tmp_path)
        yield opened
        opened.close()

    def test_another_program_is_told_of_changes(store, url, tmp_path):
        other = open_store(url, root=tmp_path)
        since = store.revision()
        threading.Timer(0.1, lambda: other.commit([new("a")])).start()
        assert store.wait_for_change(since, 60) > since
        other.close()

    def test_nobody_listens_unless_somebody_waits(store):
        assert store._database._own.listener is None
        store.wait_for_change(store.revision(), 0.01)
        store._database._own.listener.join()
        assert store._database._own.listener is None

    def test_four_writers_lose_nothing_and_events_come_in_the_order_of_commits(url, tmp_path):
        stores = [open_store(url, root=tmp_path) for _ in range(4)]
        seen, stop = [], threading.Event()

        def follow():
            reader = open_store(url, root=tmp_path)
            while not stop.is_set() or len(seen) < 80:
                seen.extend(reader.events(after=seen[-1].id if seen else 0))
            reader.close()

        def work(store):
            for _ in range(20):
                store.commit([new("a")])

        threads = [threading.Thread(target=work, args=(store,)) for store in stores]
        follower = threading.Thread(target=follow)
        for thread in (follower, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        follower.join()
        assert [event.data["version"] for event in seen] == list(range(1, 81))
        for store in stores:
            store.close()

    def test_a_writer_that_never_ends_is_reported_with_the_remedy(url):
        store = SqlStateStore(PostgreSQLDatabase(sa.make_url(url), prepare=prepare, busy_seconds=0.1))
        other = SqlStateStore(PostgreSQLDatabase(sa.make_url(url), prepare=prepare))
        with other._database.write(), pytest.raises(StateBusyError, match="pg_stat_activity"):
            store.commit([new("a")])
        assert store.commit([new("a")])[0].version == 1
        store.close()
        other.close()

    def test_a_lost_connection_is_reported_and_then_renewed(store):
        with store._database.write() as transaction:
            pid = transaction._cursor.connection.info.backend_pid
        with store._database.read() as transaction:
            transaction._cursor.execute("SELECT pg_terminate_backend(%(pid)s)", {"pid": pid})
        with pytest.raises(StateError, match="can't be reached"):
            store.commit([new("a")])
        assert store.commit([new("a")])[0].version == 1

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other threads are the point
    def test_a_forked_child_uses_connections_of_its_own(store):
        store.commit([new("a")])
        store.states("default")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if store.commit([new("a")])[0].version == 2 else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.commit([new("a")])[0].version == 3

    def test_no_message_tells_the_password(tmp_path, monkeypatch):
        monkeypatch.setenv("NBPIPE_TEST_PASSWORD", "s3cret")
        with pytest.raises(StateError, match="state") as caught:
            open_store("postgresql://me:${NBPIPE_TEST_PASSWORD}@localhost:1/db", root=tmp_path)
        assert "s3cret" not in str(caught.value)
