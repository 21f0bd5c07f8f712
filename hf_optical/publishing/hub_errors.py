"""Translation of errors of the Hub's client into errors with a remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from hf_optical.errors import HFOpticalError, InputError

_TOKEN = "create a token with write access on the Hub, and set it as HF_TOKEN or with `hf auth login`"  # noqa: S105
_AGAIN = "run the same command again: files that have arrived are not sent twice"


@contextmanager
def hub_errors(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turn errors of the Hub's client that the block raises into :class:`HFOpticalError`.

    Args:
        repo_id: The repository that messages name.
        revision: The branch that messages name, if one was requested.

    Raises:
        InputError: The token is missing or refused, the repository or revision does not exist, or the Hub refuses the
            name or the card.
        HFOpticalError: The Hub cannot be reached, its storage or this disk is full, or the upload broke off.

    Example:
        >>> from huggingface_hub.errors import LocalTokenNotFoundError
        >>> with hub_errors("me/model"):
        ...     raise LocalTokenNotFoundError("none")
        Traceback (most recent call last):
        ...
        hf_optical.errors.InputError: me/model: there is no token. Remedy: create a token with write access on ...
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    try:
        yield
    except HFOpticalError:
        raise
    except LocalTokenNotFoundError as error:
        raise InputError("there is no token", _TOKEN, path=repo_id) from error
    except HFValidationError as error:
        raise InputError(f"this is not a Hub id ({error})", "write owner/name", path=repo_id) from error
    except HfHubHTTPError as error:
        raise _answered(error, repo_id, revision) from error
    except Exception as error:
        # The client wraps errors of its threads, and its HTTP library has its own classes: search the chain of causes.
        for cause in _chain(error):
            if isinstance(cause, HfHubHTTPError):
                raise _answered(cause, repo_id, revision) from error
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HFOpticalError(f"{repo_id}: this machine's disk is full. Remedy: make room; {_AGAIN}.") from error
            if "httpx" in type(cause).__module__ or isinstance(cause, ConnectionError | TimeoutError):
                raise HFOpticalError(
                    f"{repo_id}: the Hub cannot be reached, or the connection broke ({type(cause).__name__}). "
                    f"Remedy: {_AGAIN}."
                ) from error
        raise


def _answered(error: BaseException, repo_id: str, revision: str | None) -> HFOpticalError:
    """Return the error for a response of the Hub, by the kind of error and the HTTP status."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    response = getattr(error, "response", None)
    status = response.status_code if response is not None else None
    if isinstance(error, RevisionNotFoundError):
        return InputError(f"there is no revision {revision!r}", "give a branch that exists", path=repo_id)
    if isinstance(error, RepositoryNotFoundError):
        return InputError(
            "the repository does not exist, or the token may not read it", "check the name and the token", path=repo_id
        )
    if status == 401:
        return InputError("the Hub does not know the token (401)", _TOKEN, path=repo_id)
    if status == 403:
        return InputError("the token may not write here (403)", _TOKEN, path=repo_id)
    if status in (402, 413, 507):
        return HFOpticalError(
            f"{repo_id}: the Hub has no room for this ({status}). Remedy: free storage there; {_AGAIN}."
        )
    if status is not None and status >= 500:
        return HFOpticalError(f"{repo_id}: the Hub failed ({status}). Remedy: {_AGAIN}.")
    said = getattr(error, "server_message", None) or str(error).splitlines()[0]
    return InputError(f"the Hub refused the request ({status}: {said})", "correct what its message names", path=repo_id)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all errors that caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
