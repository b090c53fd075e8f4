"""The real program over HTTPS, with a key of its own; and certificates that are renewed."""

import shutil
import ssl
from pathlib import Path

import httpx
import pytest

from cloud.logs.collector.duckdb_store import DuckDbStore
from cloud.logs.collector.http_tls import https_context
from cloud.logs.collector.receivers import tls
from cloud.logs.collector.receivers.settings import TlsSettings
from cloud.logs.query.access.roles import Role
from cloud.logs.query.client import ClientError, CollectorClient, Hearing
from tests.collector.receiving import Authority
from tests.collector.test_collector_process import Collector
from tests.query.access.conftest import make_key
from tests.query.serving import Served


def test_the_program_serves_https_to_who_has_a_key(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = authority.server(None)
    settings = tmp_path / "collector.toml"
    settings.write_text(f'http_certificate = "{files.certificate}"\nhttp_key = "{files.key}"\n')
    key = make_key(tmp_path / "data", "reader", Role.READER)
    with Collector(tmp_path / "data", "--config", str(settings)) as collector:
        collector.send(b"<134>1 - compute-01 nova-api - - - one\n")
        kind, url = collector.said[1].split()
        assert (kind, url.partition(":")[0]) == ("http", "https")
        url = url.replace("127.0.0.1", "localhost")
        monkeypatch.setenv("CLOUD_LOG_CA", str(authority.certificate))
        with CollectorClient(url) as client, pytest.raises(ClientError, match="this needs a key or a token"):
            client.rows({})
        monkeypatch.setenv("CLOUD_LOG_KEY", key)
        with CollectorClient(url) as client:
            row = next(client.tail({"n": 10}, Hearing(lambda _: None)))
        assert row["message"] == "one"
        monkeypatch.delenv("CLOUD_LOG_CA")
        with CollectorClient(url) as client, pytest.raises(ClientError, match="CERTIFICATE_VERIFY_FAILED"):
            client.rows({})
        assert collector.stop() == 0


def test_renewed_files_are_shown_to_the_next_client(
    store: DuckDbStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LOOK_S", 0.0)
    old, new = Authority(tmp_path, "old"), Authority(tmp_path, "new")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"

    def put(authority: Authority) -> None:
        made = authority.server(None)
        for source, target in ((made.certificate, certificate), (made.key, key)):
            shutil.copy(source, target.with_suffix(".tmp"))
            target.with_suffix(".tmp").replace(target)

    put(old)
    with Served(store, tls=https_context(TlsSettings(certificate, key, None))) as served:

        def status(authority: Authority) -> int:
            trust = ssl.create_default_context(cafile=authority.certificate)
            with httpx.Client(base_url=served.url, verify=trust, trust_env=False) as http:
                return http.get("/readyz").status_code

        assert status(old) == 200
        put(new)
        assert status(new) == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            status(old)
        key.write_text("half")
        assert status(new) == 200


def test_plain_text_is_not_answered_where_https_is_served(store: DuckDbStore, authority: Authority) -> None:
    with Served(store, tls=https_context(authority.server(None))) as served, pytest.raises(httpx.TransportError):
        httpx.get(served.url.replace("https", "http"), trust_env=False)
