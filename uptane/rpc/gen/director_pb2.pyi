from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PollRequest(_message.Message):
    __slots__ = ("manifest_digest", "manifest", "root", "timestamp", "snapshot", "targets")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    manifest: bytes
    root: int
    timestamp: int
    snapshot: int
    targets: int
    def __init__(self, manifest_digest: _Optional[bytes] = ..., manifest: _Optional[bytes] = ..., root: _Optional[int] = ..., timestamp: _Optional[int] = ..., snapshot: _Optional[int] = ..., targets: _Optional[int] = ...) -> None: ...

class PollReply(_message.Message):
    __slots__ = ("answer", "file")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    answer: Answer
    file: File
    def __init__(self, answer: _Optional[_Union[Answer, _Mapping]] = ..., file: _Optional[_Union[File, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("manifest_wanted", "admitted_digest", "poll_again_s", "refused")
    MANIFEST_WANTED_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    POLL_AGAIN_S_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    manifest_wanted: bool
    admitted_digest: bytes
    poll_again_s: int
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    def __init__(self, manifest_wanted: _Optional[bool] = ..., admitted_digest: _Optional[bytes] = ..., poll_again_s: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("check", "detail")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    check: int
    detail: str
    def __init__(self, check: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("name", "octets", "last")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OCTETS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    name: str
    octets: bytes
    last: bool
    def __init__(self, name: _Optional[str] = ..., octets: _Optional[bytes] = ..., last: _Optional[bool] = ...) -> None: ...

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeReply(_message.Message):
    __slots__ = ("root", "director_address", "time_address", "image_address", "vehicles", "image_snapshot", "image_heard", "image_trouble", "root_version", "root_expires", "time")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    DIRECTOR_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TIME_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VEHICLES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HEARD_FIELD_NUMBER: _ClassVar[int]
    IMAGE_TROUBLE_FIELD_NUMBER: _ClassVar[int]
    ROOT_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROOT_EXPIRES_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    root: bytes
    director_address: str
    time_address: str
    image_address: str
    vehicles: int
    image_snapshot: int
    image_heard: int
    image_trouble: str
    root_version: int
    root_expires: int
    time: int
    def __init__(self, root: _Optional[bytes] = ..., director_address: _Optional[str] = ..., time_address: _Optional[str] = ..., image_address: _Optional[str] = ..., vehicles: _Optional[int] = ..., image_snapshot: _Optional[int] = ..., image_heard: _Optional[int] = ..., image_trouble: _Optional[str] = ..., root_version: _Optional[int] = ..., root_expires: _Optional[int] = ..., time: _Optional[int] = ...) -> None: ...

class PublicKey(_message.Message):
    __slots__ = ("scheme", "octets")
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    OCTETS_FIELD_NUMBER: _ClassVar[int]
    scheme: str
    octets: bytes
    def __init__(self, scheme: _Optional[str] = ..., octets: _Optional[bytes] = ...) -> None: ...

class InstalledImage(_message.Message):
    __slots__ = ("filename", "length", "sha256", "release_counter")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    RELEASE_COUNTER_FIELD_NUMBER: _ClassVar[int]
    filename: str
    length: int
    sha256: bytes
    release_counter: int
    def __init__(self, filename: _Optional[str] = ..., length: _Optional[int] = ..., sha256: _Optional[bytes] = ..., release_counter: _Optional[int] = ...) -> None: ...

class Ecu(_message.Message):
    __slots__ = ("id", "hardware", "primary", "verification", "bus", "address", "filename", "slot_size", "public_key", "image")
    ID_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    BUS_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    SLOT_SIZE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    hardware: str
    primary: bool
    verification: str
    bus: str
    address: int
    filename: str
    slot_size: int
    public_key: PublicKey
    image: InstalledImage
    def __init__(self, id: _Optional[str] = ..., hardware: _Optional[str] = ..., primary: _Optional[bool] = ..., verification: _Optional[str] = ..., bus: _Optional[str] = ..., address: _Optional[int] = ..., filename: _Optional[str] = ..., slot_size: _Optional[int] = ..., public_key: _Optional[_Union[PublicKey, _Mapping]] = ..., image: _Optional[_Union[InstalledImage, _Mapping]] = ...) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("vehicle", "ecus", "description")
    VEHICLE_FIELD_NUMBER: _ClassVar[int]
    ECUS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    vehicle: str
    ecus: _containers.RepeatedCompositeFieldContainer[Ecu]
    description: str
    def __init__(self, vehicle: _Optional[str] = ..., ecus: _Optional[_Iterable[_Union[Ecu, _Mapping]]] = ..., description: _Optional[str] = ...) -> None: ...

class EnrolReply(_message.Message):
    __slots__ = ("added",)
    ADDED_FIELD_NUMBER: _ClassVar[int]
    added: bool
    def __init__(self, added: _Optional[bool] = ...) -> None: ...

class EcuKey(_message.Message):
    __slots__ = ("ecu", "public_key")
    ECU_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    ecu: str
    public_key: PublicKey
    def __init__(self, ecu: _Optional[str] = ..., public_key: _Optional[_Union[PublicKey, _Mapping]] = ...) -> None: ...

class ProvisionRequest(_message.Message):
    __slots__ = ("vehicle", "keys", "certificate_request", "replace")
    VEHICLE_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    vehicle: str
    keys: _containers.RepeatedCompositeFieldContainer[EcuKey]
    certificate_request: bytes
    replace: bool
    def __init__(self, vehicle: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[EcuKey, _Mapping]]] = ..., certificate_request: _Optional[bytes] = ..., replace: _Optional[bool] = ...) -> None: ...

class ProvisionReply(_message.Message):
    __slots__ = ("provisioned", "file")
    PROVISIONED_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    provisioned: Provisioned
    file: File
    def __init__(self, provisioned: _Optional[_Union[Provisioned, _Mapping]] = ..., file: _Optional[_Union[File, _Mapping]] = ...) -> None: ...

class Provisioned(_message.Message):
    __slots__ = ("ecus", "description", "ca", "certificate", "image_ca", "director_address", "time_address", "image_address", "time")
    ECUS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CA_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_CA_FIELD_NUMBER: _ClassVar[int]
    DIRECTOR_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TIME_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ecus: _containers.RepeatedCompositeFieldContainer[Ecu]
    description: str
    ca: bytes
    certificate: bytes
    image_ca: bytes
    director_address: str
    time_address: str
    image_address: str
    time: int
    def __init__(self, ecus: _Optional[_Iterable[_Union[Ecu, _Mapping]]] = ..., description: _Optional[str] = ..., ca: _Optional[bytes] = ..., certificate: _Optional[bytes] = ..., image_ca: _Optional[bytes] = ..., director_address: _Optional[str] = ..., time_address: _Optional[str] = ..., image_address: _Optional[str] = ..., time: _Optional[int] = ...) -> None: ...

class Selection(_message.Message):
    __slots__ = ("ecu", "hardware", "image")
    ECU_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ecu: str
    hardware: str
    image: str
    def __init__(self, ecu: _Optional[str] = ..., hardware: _Optional[str] = ..., image: _Optional[str] = ...) -> None: ...

class AssignRequest(_message.Message):
    __slots__ = ("vehicles", "all_vehicles", "selections", "dry_run")
    VEHICLES_FIELD_NUMBER: _ClassVar[int]
    ALL_VEHICLES_FIELD_NUMBER: _ClassVar[int]
    SELECTIONS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    vehicles: _containers.RepeatedScalarFieldContainer[str]
    all_vehicles: bool
    selections: _containers.RepeatedCompositeFieldContainer[Selection]
    dry_run: bool
    def __init__(self, vehicles: _Optional[_Iterable[str]] = ..., all_vehicles: _Optional[bool] = ..., selections: _Optional[_Iterable[_Union[Selection, _Mapping]]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class Assigned(_message.Message):
    __slots__ = ("vehicle", "ecu", "image", "note")
    VEHICLE_FIELD_NUMBER: _ClassVar[int]
    ECU_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    vehicle: str
    ecu: str
    image: str
    note: str
    def __init__(self, vehicle: _Optional[str] = ..., ecu: _Optional[str] = ..., image: _Optional[str] = ..., note: _Optional[str] = ...) -> None: ...

class AssignReply(_message.Message):
    __slots__ = ("assigned",)
    ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    assigned: _containers.RepeatedCompositeFieldContainer[Assigned]
    def __init__(self, assigned: _Optional[_Iterable[_Union[Assigned, _Mapping]]] = ...) -> None: ...

class ConstrainRequest(_message.Message):
    __slots__ = ("kind", "image", "other", "release_counter_min", "remove")
    KIND_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    RELEASE_COUNTER_MIN_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    image: str
    other: str
    release_counter_min: int
    remove: bool
    def __init__(self, kind: _Optional[str] = ..., image: _Optional[str] = ..., other: _Optional[str] = ..., release_counter_min: _Optional[int] = ..., remove: _Optional[bool] = ...) -> None: ...

class ConstrainReply(_message.Message):
    __slots__ = ("rules",)
    RULES_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rules: _Optional[_Iterable[str]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("vehicles",)
    VEHICLES_FIELD_NUMBER: _ClassVar[int]
    vehicles: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, vehicles: _Optional[_Iterable[str]] = ...) -> None: ...

class EcuStatus(_message.Message):
    __slots__ = ("ecu", "hardware", "primary", "verification", "wanted", "assigned", "reported", "before", "state", "outcome", "proven", "silent_since", "refused", "held_back", "report_counter", "reported_time")
    ECU_FIELD_NUMBER: _ClassVar[int]
    HARDWARE_FIELD_NUMBER: _ClassVar[int]
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    REPORTED_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    SILENT_SINCE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    HELD_BACK_FIELD_NUMBER: _ClassVar[int]
    REPORT_COUNTER_FIELD_NUMBER: _ClassVar[int]
    REPORTED_TIME_FIELD_NUMBER: _ClassVar[int]
    ecu: str
    hardware: str
    primary: bool
    verification: str
    wanted: InstalledImage
    assigned: InstalledImage
    reported: InstalledImage
    before: InstalledImage
    state: str
    outcome: str
    proven: bool
    silent_since: int
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    held_back: str
    report_counter: int
    reported_time: int
    def __init__(self, ecu: _Optional[str] = ..., hardware: _Optional[str] = ..., primary: _Optional[bool] = ..., verification: _Optional[str] = ..., wanted: _Optional[_Union[InstalledImage, _Mapping]] = ..., assigned: _Optional[_Union[InstalledImage, _Mapping]] = ..., reported: _Optional[_Union[InstalledImage, _Mapping]] = ..., before: _Optional[_Union[InstalledImage, _Mapping]] = ..., state: _Optional[str] = ..., outcome: _Optional[str] = ..., proven: _Optional[bool] = ..., silent_since: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ..., held_back: _Optional[str] = ..., report_counter: _Optional[int] = ..., reported_time: _Optional[int] = ...) -> None: ...

class VehicleStatus(_message.Message):
    __slots__ = ("vehicle", "ecus", "revoked", "polled", "targets_version", "bundle", "refused", "manifests", "notes")
    VEHICLE_FIELD_NUMBER: _ClassVar[int]
    ECUS_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    POLLED_FIELD_NUMBER: _ClassVar[int]
    TARGETS_VERSION_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    MANIFESTS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    vehicle: str
    ecus: _containers.RepeatedCompositeFieldContainer[EcuStatus]
    revoked: bool
    polled: int
    targets_version: int
    bundle: bytes
    refused: _containers.RepeatedCompositeFieldContainer[Refused]
    manifests: int
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, vehicle: _Optional[str] = ..., ecus: _Optional[_Iterable[_Union[EcuStatus, _Mapping]]] = ..., revoked: _Optional[bool] = ..., polled: _Optional[int] = ..., targets_version: _Optional[int] = ..., bundle: _Optional[bytes] = ..., refused: _Optional[_Iterable[_Union[Refused, _Mapping]]] = ..., manifests: _Optional[int] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ("vehicle", "operator")
    VEHICLE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    vehicle: str
    operator: str
    def __init__(self, vehicle: _Optional[str] = ..., operator: _Optional[str] = ...) -> None: ...

class RevokeReply(_message.Message):
    __slots__ = ("changed",)
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    changed: bool
    def __init__(self, changed: _Optional[bool] = ...) -> None: ...

class AddOperatorRequest(_message.Message):
    __slots__ = ("name", "certificate_request")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    name: str
    certificate_request: bytes
    def __init__(self, name: _Optional[str] = ..., certificate_request: _Optional[bytes] = ...) -> None: ...

class AddOperatorReply(_message.Message):
    __slots__ = ("certificate", "ca")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CA_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    ca: bytes
    def __init__(self, certificate: _Optional[bytes] = ..., ca: _Optional[bytes] = ...) -> None: ...

class PrepareKeyRequest(_message.Message):
    __slots__ = ("role",)
    ROLE_FIELD_NUMBER: _ClassVar[int]
    role: str
    def __init__(self, role: _Optional[str] = ...) -> None: ...

class PrepareKeyReply(_message.Message):
    __slots__ = ("public_key",)
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    public_key: PublicKey
    def __init__(self, public_key: _Optional[_Union[PublicKey, _Mapping]] = ...) -> None: ...

class SubmitRootRequest(_message.Message):
    __slots__ = ("root",)
    ROOT_FIELD_NUMBER: _ClassVar[int]
    root: bytes
    def __init__(self, root: _Optional[bytes] = ...) -> None: ...

class SubmitRootReply(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: int
    def __init__(self, version: _Optional[int] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("after", "limit")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    after: int
    limit: int
    def __init__(self, after: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("number", "time", "actor", "act", "subject", "detail", "digest")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    number: int
    time: int
    actor: str
    act: str
    subject: str
    detail: str
    digest: bytes
    def __init__(self, number: _Optional[int] = ..., time: _Optional[int] = ..., actor: _Optional[str] = ..., act: _Optional[str] = ..., subject: _Optional[str] = ..., detail: _Optional[str] = ..., digest: _Optional[bytes] = ...) -> None: ...
