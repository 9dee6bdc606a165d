from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Chunk(_message.Message):
    __slots__ = ("octets",)
    OCTETS_FIELD_NUMBER: _ClassVar[int]
    octets: bytes
    def __init__(self, octets: _Optional[bytes] = ...) -> None: ...

class MetadataRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ImageRequest(_message.Message):
    __slots__ = ("sha256", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    offset: int
    def __init__(self, sha256: _Optional[bytes] = ..., offset: _Optional[int] = ...) -> None: ...

class BlobRequest(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    def __init__(self, sha256: _Optional[bytes] = ...) -> None: ...

class BlobState(_message.Message):
    __slots__ = ("held", "complete", "published")
    HELD_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    held: int
    complete: bool
    published: bool
    def __init__(self, held: _Optional[int] = ..., complete: _Optional[bool] = ..., published: _Optional[bool] = ...) -> None: ...

class UploadRequest(_message.Message):
    __slots__ = ("opening", "octets")
    OPENING_FIELD_NUMBER: _ClassVar[int]
    OCTETS_FIELD_NUMBER: _ClassVar[int]
    opening: UploadOpening
    octets: bytes
    def __init__(self, opening: _Optional[_Union[UploadOpening, _Mapping]] = ..., octets: _Optional[bytes] = ...) -> None: ...

class UploadOpening(_message.Message):
    __slots__ = ("sha256", "length", "offset")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    length: int
    offset: int
    def __init__(self, sha256: _Optional[bytes] = ..., length: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class PublishRequest(_message.Message):
    __slots__ = ("opening", "octets")
    OPENING_FIELD_NUMBER: _ClassVar[int]
    OCTETS_FIELD_NUMBER: _ClassVar[int]
    opening: PublishOpening
    octets: bytes
    def __init__(self, opening: _Optional[_Union[PublishOpening, _Mapping]] = ..., octets: _Optional[bytes] = ...) -> None: ...

class PublishOpening(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[SubmittedFile]
    def __init__(self, files: _Optional[_Iterable[_Union[SubmittedFile, _Mapping]]] = ...) -> None: ...

class SubmittedFile(_message.Message):
    __slots__ = ("role", "length")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    role: str
    length: int
    def __init__(self, role: _Optional[str] = ..., length: _Optional[int] = ...) -> None: ...

class Published(_message.Message):
    __slots__ = ("names", "snapshot", "timestamp")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    snapshot: int
    timestamp: int
    def __init__(self, names: _Optional[_Iterable[str]] = ..., snapshot: _Optional[int] = ..., timestamp: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("roles", "images", "image_octets", "unpublished", "unpublished_total", "unfinished", "unfinished_total")
    ROLES_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_OCTETS_FIELD_NUMBER: _ClassVar[int]
    UNPUBLISHED_FIELD_NUMBER: _ClassVar[int]
    UNPUBLISHED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_FIELD_NUMBER: _ClassVar[int]
    UNFINISHED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    roles: _containers.RepeatedCompositeFieldContainer[RoleStatus]
    images: int
    image_octets: int
    unpublished: _containers.RepeatedCompositeFieldContainer[Blob]
    unpublished_total: int
    unfinished: _containers.RepeatedCompositeFieldContainer[Blob]
    unfinished_total: int
    def __init__(self, roles: _Optional[_Iterable[_Union[RoleStatus, _Mapping]]] = ..., images: _Optional[int] = ..., image_octets: _Optional[int] = ..., unpublished: _Optional[_Iterable[_Union[Blob, _Mapping]]] = ..., unpublished_total: _Optional[int] = ..., unfinished: _Optional[_Iterable[_Union[Blob, _Mapping]]] = ..., unfinished_total: _Optional[int] = ...) -> None: ...

class RoleStatus(_message.Message):
    __slots__ = ("role", "version", "expires", "length", "images", "threshold", "keys")
    ROLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    role: str
    version: int
    expires: int
    length: int
    images: int
    threshold: int
    keys: int
    def __init__(self, role: _Optional[str] = ..., version: _Optional[int] = ..., expires: _Optional[int] = ..., length: _Optional[int] = ..., images: _Optional[int] = ..., threshold: _Optional[int] = ..., keys: _Optional[int] = ...) -> None: ...

class Blob(_message.Message):
    __slots__ = ("sha256", "held")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    held: int
    def __init__(self, sha256: _Optional[bytes] = ..., held: _Optional[int] = ...) -> None: ...
