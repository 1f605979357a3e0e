"""How Microsoft Graph says no. Source: "Microsoft Graph error responses and resource types"."""

import uuid


class Refusal(Exception):
    """A request that Graph refuses, as an HTTP status and an error code."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message

    def body(self) -> dict[str, object]:
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "innerError": {"request-id": str(uuid.uuid4())},
            }
        }


def bad_request(message: str) -> Refusal:
    return Refusal(400, "Request_BadRequest", message)


def not_found(what: str) -> Refusal:
    message = (
        f"Resource '{what}' does not exist or one of its queried reference-property objects are not present."
    )
    return Refusal(404, "Request_ResourceNotFound", message)


def forbidden() -> Refusal:
    return Refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
