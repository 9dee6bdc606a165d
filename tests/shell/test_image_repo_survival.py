"""What an Image repository survives: restarts, kill -9, a full disk, damaged files; and ceremonies."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import socket
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from image_repo.publish import with_images
from image_repo.shell import publishing
from image_repo.shell.client import Refused
from image_repo.shell.publishing import Wish
from image_repo.standing import Standing
from tests.shell.repository_process import (
    PASSPHRASE,
    Repository,
    answer,
    copied,
    octets_of,
    run,
    secret_file,
    wait_for,
)
from uptane.codec.oer import Oer
from uptane.errors import LinkFailure
from uptane.model.ids import Filename, HardwareId
from uptane.model.metadata import Image
from uptane.verify.signing import sign

pytestmark = pytest.mark.process


@pytest.fixture
def repository(founded: Path, tmp_path: Path) -> Iterator[Repository]:
    """A repository of the test's own, not served yet."""
    mine = copied(founded, tmp_path)
    yield mine
    mine.kill()


def publish(repository: Repository, tmp_path: Path, filename: str, octets: bytes) -> None:
    path = tmp_path / "image"
    path.write_bytes(octets)
    with repository.client() as client:
        wish = Wish(path, filename, ("hw-1",), None, sha512=False)
        publishing.publish(repository.desk(client), [wish], lambda _wish, _length, _there: None)


def versions(standing: Standing) -> tuple[int, int, int]:
    return tuple(  # type: ignore[return-value]
        file.value.header.version for file in (standing.targets, standing.snapshot, standing.timestamp)
    )


# ------------------------------------------------------------------------------------------- restarts and crashes


def test_a_restart_keeps_everything(repository: Repository, tmp_path: Path) -> None:
    repository.start()
    octets = octets_of(400_000)
    publish(repository, tmp_path, "kept.bin", octets)
    before = repository.standing()
    assert repository.stop(signal.SIGTERM) == 0
    assert not list(repository.folder.run.iterdir())
    repository.start()
    assert repository.standing() == before
    assert b"".join(repository.image(sha256(octets).digest(), 5)) == octets[5:]
    assert repository.stop(signal.SIGINT) == 0


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "moment", ["asked", "writing", "writing + 1 ms", "writing + 5 ms", "writing + 20 ms", "answered"]
)
def test_kill_9_in_the_middle_of_a_publication_leaves_old_or_new(
    repository: Repository, tmp_path: Path, moment: str
) -> None:
    """Killed as the database begins to be written, or so much later; what is found then is whole, old or new."""
    repository.start()
    octets = b"the one image under many names"
    publish(repository, tmp_path, "first.bin", octets)
    before = repository.standing()
    answered = _publish_and_kill(repository, _many(repository, before, octets), moment)
    repository.start()
    after = repository.standing()
    assert versions(after) in {versions(before), tuple(version + 1 for version in versions(before))}
    published = [image.filename for image in after.targets.value.entries if image.filename.startswith("many/")]
    assert len(published) == (0 if versions(after) == versions(before) else MANY)
    assert published or not answered, "what was acknowledged is lost"
    publish(repository, tmp_path, "last.bin", b"and it goes on")


MANY = 1_500


def _many(repository: Repository, standing: Standing, octets: bytes) -> dict[str, bytes]:
    """A publication that takes a while to be judged and written."""
    digest, hardware = sha256(octets).digest(), (HardwareId("hw-1"),)
    images = [
        Oer().image(Image(Filename(f"many/{at:04}"), len(octets), digest, None, hardware, 1, b"")) for at in range(MANY)
    ]
    with repository.client() as client:
        desk = repository.desk(client)
        fresh = with_images(standing.targets.value, images, Oer(), desk.occasion())
        return {"targets": sign(Oer(), fresh, publishing.draft(desk, standing, fresh).signers)}


def _publish_and_kill(repository: Repository, submitted: dict[str, bytes], moment: str) -> bool:
    """Whether the publication was acknowledged before the server was killed."""
    log = repository.folder.state / "repository.db-wal"
    before = log.stat().st_mtime_ns
    answers: list[object] = []

    def attempt() -> None:
        with contextlib.suppress(LinkFailure):
            answers.append(client.publish(submitted))

    with repository.client() as client:
        thread = Thread(target=attempt)
        thread.start()
        if moment == "answered":
            thread.join(60)
        elif moment.startswith("writing"):
            wait_for(lambda: log.stat().st_mtime_ns != before, tick=0)
            thread.join(float(moment.removesuffix(" ms").partition("+ ")[2] or 0) / 1_000)
        repository.kill()
        thread.join(30)
    return bool(answers)


def test_kill_9_in_the_middle_of_an_upload_resumes(repository: Repository, tmp_path: Path) -> None:
    repository.start()
    octets = octets_of(40_000_000)
    path = tmp_path / "large"
    path.write_bytes(octets)
    digest = sha256(octets).digest()
    with repository.client() as client, pytest.raises(LinkFailure):
        client.upload(path, digest, len(octets), lambda there: _kill_at(repository, there, 30_000_000))
    repository.start()
    resumed: list[int] = []
    with repository.client() as client:
        assert client.upload(path, digest, len(octets), resumed.append)
    assert resumed[0] > 0
    publish(repository, tmp_path, "large.bin", octets)
    assert b"".join(repository.image(digest)) == octets


def _kill_at(repository: Repository, there: int, octets: int) -> None:
    if there >= octets:
        repository.kill()


def test_a_full_disk_refuses_the_upload_and_keeps_what_there_is(repository: Repository, tmp_path: Path) -> None:
    repository.start()
    publish(repository, tmp_path, "small.bin", b"small")
    before = repository.standing()
    octets = octets_of(3_000_000)
    path = tmp_path / "large"
    path.write_bytes(octets)
    assert repository.server is not None
    free = resource.prlimit(repository.server.pid, resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    refused = repository.publish(path, "large.bin", code=1)
    assert "cannot be stored" in refused["error"]
    assert repository.standing() == before
    publish(repository, tmp_path, "tiny.bin", b"tiny")
    resource.prlimit(repository.server.pid, resource.RLIMIT_FSIZE, free)
    repository.publish(path, "large.bin")
    assert b"".join(repository.image(sha256(octets).digest())) == octets


# ------------------------------------------------------------------------------------------------- clear refusals


def test_what_keeps_a_server_from_starting_is_said(repository: Repository, tmp_path: Path) -> None:
    def serve(*words: object) -> str:
        ran = run("serve", "-C", repository.path, "--passphrase-file", repository.secret, *words)
        assert ran.returncode == 1, (ran.stdout, ran.stderr)
        assert "Traceback" not in ran.stderr
        return " ".join(ran.stderr.split())

    repository.start()
    assert "is being served already" in serve("--port", 0, "--operator-port", 0)
    repository.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "is it in use?" in serve("--port", taken.getsockname()[1], "--operator-port", 0)
    folder = tmp_path / "wrong"
    folder.mkdir()
    wrong = secret_file(folder, b"wrong")
    assert "passphrase" in serve("--port", 0, "--passphrase-file", wrong)
    key = next(repository.folder.online.iterdir())
    server_key = repository.folder.tls / "server.key"
    server_key.chmod(0o644)
    assert "chmod 600" in serve("--port", 0)
    server_key.chmod(0o600)
    assert key.stat().st_mode & 0o77 == 0
    database = repository.folder.state / "repository.db"
    whole = database.read_bytes()
    database.write_bytes(whole[: len(whole) // 2])
    assert "repository.db" in serve("--port", 0, "--operator-port", 0)
    database.write_bytes(whole)
    repository.start()
    assert versions(repository.standing())[0] == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[serve\n", "line 1"),
        ("[server]\n", "unknown section 'server'"),
        ("[serve]\nprot = 1\n", "has no 'prot'"),
        ('[serve]\nport = "80"\n', "port is a whole number"),
        ("[serve]\nport = 65536\n", "port is a whole number from 0 to 65535"),
        ("[serve]\nport = true\n", "port is a whole number"),
        ("[serve]\nnames = [1]\n", "list of texts"),
        ("[serve]\nhost = ''\n", "host is a text"),
        ("[terms]\ntimestamp_s = 0\n", "timestamp_s is a whole number from 1"),
        ("serve = 1\n", "[serve] is a section"),
    ],
)
def test_bad_settings_are_named(founded: Path, tmp_path: Path, text: str, complaint: str) -> None:
    mine = copied(founded, tmp_path)
    mine.folder.settings_file.write_text(text)
    refused = answer("status", "-C", mine.path, code=1)
    assert complaint in refused["error"]
    assert "repository.toml" in refused["error"]


def test_what_is_no_repository_is_said(tmp_path: Path) -> None:
    assert "cannot be read" in answer("status", "-C", tmp_path, code=1)["error"]
    refused = run("serve", "-C", tmp_path)
    assert refused.returncode == 1
    assert "is no repository" in refused.stderr
    (tmp_path / "file").write_text("")
    refused_init = answer("init", tmp_path, "--passphrase-file", secret_file(tmp_path), code=1)
    assert "not empty" in refused_init["error"]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["publish"],
        ["publish", "absent-file", "--hardware", "x"],
        ["publish", __file__],
        ["publish", __file__, __file__, "--filename", "one", "--hardware", "x"],
        ["publish", __file__, "--hardware", "x", "--counter", "-1"],
        ["publish", __file__, "--hardware", "x", "--counter", "4294967296"],
        ["serve", "--port", "65536"],
        ["init"],
        ["init", "somewhere", "--root-keys", "2/1"],
        ["init", "somewhere", "--root-keys", "two"],
        ["rotate", "everything"],
        ["delegate", "acme"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_misuse(words: list[str]) -> None:
    ran = run(*words)
    assert ran.returncode == 2, (ran.stdout, ran.stderr)
    assert "Traceback" not in ran.stderr


def test_a_server_that_is_down_is_said(repository: Repository) -> None:
    refused = answer("status", "-C", repository.path, "--server", "127.0.0.1:1", code=1)
    assert "does not answer" in refused["error"]


def test_nothing_secret_is_open_to_others(founded: Path) -> None:
    secrets = [path for path in founded.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(secrets) == 7  # four roles, the authority, the server, the operator
    for path in secrets:
        assert path.stat().st_mode & 0o77 == 0, path
        assert path.parent.stat().st_mode & 0o77 == 0, path.parent
        assert b"ENCRYPTED" in path.read_bytes() or path.name == "operator.key"
    assert {path.name for path in (founded / "public").iterdir()} == {"1.root", "root", "ca.pem", "address"}
    assert {path.name.split("-")[0] for path in (founded / "keys" / "online").iterdir()} == {"snapshot", "timestamp"}


def test_a_port_of_0_and_a_new_certificate_are_told_to_whom_it_concerns(repository: Repository) -> None:
    repository.start()
    assert (repository.folder.public / "address").read_text() == f"127.0.0.1:{repository.port}\n"
    repository.stop()
    settings = repository.folder.settings_file
    settings.write_text(settings.read_text().replace("names = []", 'names = ["repo.example"]'))
    before = (repository.folder.tls / "server.pem").read_bytes()
    repository.cli("certify")
    certificate = x509.load_pem_x509_certificate((repository.folder.tls / "server.pem").read_bytes())
    assert certificate.public_bytes(Encoding.PEM) != before
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "repo.example" in names.get_values_for_type(x509.DNSName)
    assert (repository.folder.tls / "server.key").stat().st_mode & 0o77 == 0
    repository.start()
    assert versions(repository.standing())[0] == 1


# ---------------------------------------------------------------------------------------------------- renewal


def test_the_server_renews_before_expiry(repository: Repository) -> None:
    settings = repository.folder.settings_file
    settings.write_text(settings.read_text().replace("timestamp_s = 259200", "timestamp_s = 2"))
    repository.start()
    # The first Timestamp is valid for three days still: a publication makes one under the new terms.
    with repository.client() as client:
        publishing.renew(repository.desk(client))
    first = repository.standing()
    later = wait_for(lambda: _newer(repository, first), 20)
    assert versions(later)[2] > versions(first)[2]
    assert versions(later)[:2] == versions(first)[:2]


def _newer(repository: Repository, before: Standing) -> Standing | None:
    standing = repository.standing()
    return standing if versions(standing) != versions(before) else None


# --------------------------------------------------------------------------------------------------- ceremonies


def test_every_role_is_rotated_and_old_vehicles_follow(repository: Repository, tmp_path: Path) -> None:
    repository.start()
    anchor = (repository.folder.public / "root").read_bytes()
    publish(repository, tmp_path, "a.bin", b"a")
    for number, role in enumerate(("timestamp", "snapshot", "targets", "root"), 2):
        assert repository.cli("rotate", role)["published"][0] == f"{number}.root"
    publish(repository, tmp_path, "b.bin", b"b")
    (repository.folder.operator / "root").write_bytes(anchor)
    standing = repository.standing()
    assert standing.root.value.header.version == 5
    assert (repository.folder.public / "root").read_bytes() == standing.root.octets
    repository.stop()
    repository.start()
    assert repository.standing() == standing


def test_a_root_of_two_keys_is_signed_at_two_places(tmp_path: Path) -> None:
    secret = secret_file(tmp_path)
    ports = ("--port", 0, "--operator-port", 0)
    answer("init", tmp_path / "repo", "--passphrase-file", secret, "--root-keys", "2/2", *ports)
    repository = Repository(tmp_path / "repo", secret).start()
    try:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        key = shutil.move(next(repository.folder.offline.glob("root-*")), elsewhere)
        waiting = repository.cli("rotate", "timestamp")
        assert waiting["published"] == []
        assert waiting["notes"][0] == "root: 1 of 2 signatures"
        (pending,) = waiting["pending"]
        refused = answer("submit", pending, "-C", repository.path, code=1)
        assert refused["check"] == "ROOT_SIGNATURES"
        before = repository.folder.public / "root"
        signed = answer("sign", pending, "--key", key, "--passphrase-file", secret, "--root", before)
        assert (signed["signatures"], signed["missing"]) == (2, [])
        assert answer("submit", pending, "-C", repository.path)["published"][0] == "2.root"
        assert not Path(pending).exists()
        assert repository.standing().root.value.header.version == 2
    finally:
        repository.kill()


def test_an_online_key_the_server_does_not_hold_is_not_published(repository: Repository, tmp_path: Path) -> None:
    repository.start()
    online = repository.folder.online
    before = repository.standing()
    hidden = tmp_path / "hidden"
    shutil.copytree(repository.path, hidden / "repo", ignore=shutil.ignore_patterns("state", "run"))
    other = Repository(hidden / "repo", repository.secret)
    refused = answer(
        "rotate", "snapshot", "-C", other.path, "--passphrase-file", other.secret, "--server",
        f"127.0.0.1:{repository.operator_port}", code=1,
    )  # fmt: skip
    assert refused["check"] == "PUBLISH_KEYS"
    assert repository.standing() == before
    for key in (hidden / "repo" / "keys" / "online").iterdir():
        if not (online / key.name).exists():
            shutil.copy(key, online)
    with pytest.raises(Refused), repository.client() as client:
        client.publish({"root": b"rubbish"})
    assert repository.cli("rotate", "timestamp")["published"][0] == "2.root"


def test_withdraw_renew_and_undelegate(repository: Repository, tmp_path: Path) -> None:
    repository.start()
    octets = octets_of(1_000)
    publish(repository, tmp_path, "gone.bin", octets)
    repository.cli("withdraw", "gone.bin")
    assert repository.standing().targets.value.entries.find("gone.bin") is None
    assert b"".join(repository.image(sha256(octets).digest())) == octets
    assert "has no gone.bin" in repository.cli("withdraw", "gone.bin", code=1)["error"]
    repository.cli("delegate", "acme", "qa", "--path", "acme/*")
    assert set(repository.standing().delegated) == {"acme", "qa"}
    assert "shares a delegation" in repository.cli("undelegate", "qa", code=1)["error"]
    assert repository.cli("renew", "acme")["published"][0] == "2.acme"
    assert repository.cli("renew", "root")["published"][0] == "2.root"
    assert PASSPHRASE not in repository.log.read_bytes()
