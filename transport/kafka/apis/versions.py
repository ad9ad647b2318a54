"""ApiVersions: which APIs are served, in which versions. Every client asks this first.

No features are named: with `transaction.version` 2 among them clients would use transactions V2 (KIP-890).
"""

from __future__ import annotations

from ....actors.errors import ErrorCode
from ..exchange import Exchange
from ..messages.api_versions import ApiVersion, ApiVersionsRequest, ApiVersionsResponse
from ..served import shown


async def api_versions(request: ApiVersionsRequest, exchange: Exchange) -> ApiVersionsResponse:
    return ApiVersionsResponse(api_keys=_keys())


def refusal() -> ApiVersionsResponse:
    """For who asks in a version that is not known: it may ask again in one that is."""
    return ApiVersionsResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, api_keys=_keys())


def _keys() -> list[ApiVersion]:
    return [ApiVersion(api_key=line.key, min_version=line.least, max_version=line.newest) for line in shown()]
