"""What an operator can set about a picture service, and the ways in which it can fail us."""

from __future__ import annotations

from dataclasses import dataclass, field

from generation_service.backends.interface import AttemptFailedError

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class ImageServiceOptions:
    """One picture service.

    Attributes:
        base_url: Where its paths begin, such as `https://api.openai.com/v1`.
        api_key: Sent as bearer token to the service alone; empty: none.
        download_hosts: Other hosts from which its pictures may be fetched over HTTPS; a name that
            begins with a dot stands for every host below it.
        connect_seconds: Longest wait for a connection.
        total_seconds: Longest time for a whole job, fetching included.
        max_answer_bytes: Largest answer; pictures in it are a third larger than as files.
        max_picture_bytes: Largest picture.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    download_hosts: tuple[str, ...] = ()
    connect_seconds: float = 10.0
    total_seconds: float = 180.0
    max_answer_bytes: int = 96 * MEBIBYTE
    max_picture_bytes: int = 32 * MEBIBYTE


class ServiceUnavailableError(AttemptFailedError):
    """It is not reachable, busy, or did not answer in time; another try may help."""

    def __init__(self, message: str) -> None:
        """Say what happened, in one sentence for people."""
        super().__init__("IMAGE_SERVICE_UNAVAILABLE", message, worth_retrying=True)


class ServiceRefusedError(AttemptFailedError):
    """It does not take this request; the same request would be refused again."""

    def __init__(self, message: str, *, reason: str = "IMAGE_SERVICE_REFUSED") -> None:
        """Say what it refuses, in one sentence for people; never in the service's own words."""
        super().__init__(reason, message, worth_retrying=False)


class AnswerInvalidError(AttemptFailedError):
    """Its answer is nonsense, too large, or holds no picture."""

    def __init__(self, message: str) -> None:
        """Say what is wrong with it, in one sentence for people."""
        super().__init__("IMAGE_SERVICE_ANSWER_INVALID", message, worth_retrying=False)


class PictureAddressRefusedError(AttemptFailedError):
    """Its answer leads to an address that we do not fetch from."""

    def __init__(self) -> None:
        """Name no address: it goes to the log of nobody but the operator."""
        super().__init__(
            "IMAGE_ADDRESS_REFUSED",
            "The picture service named an address that pictures are not fetched from.",
            worth_retrying=False,
        )
