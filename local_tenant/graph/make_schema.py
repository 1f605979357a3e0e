"""Makes schema.json from Microsoft's published types. Run by hand when those change:

npm pack @microsoft/microsoft-graph-types && tar xzf microsoft-microsoft-graph-types-*.tgz
python local_tenant/graph/make_schema.py package/microsoft-graph.d.ts
"""

import json
import re
import sys
from pathlib import Path

TYPES = [
    "Entity",
    "DirectoryObject",
    "Application",
    "WebApplication",
    "ImplicitGrantSettings",
    "ApiApplication",
    "PermissionScope",
    "RequiredResourceAccess",
    "ResourceAccess",
    "OptionalClaims",
    "OptionalClaim",
    "KeyCredential",
    "PasswordCredential",
    "ServicePrincipal",
    "OAuth2PermissionGrant",
    "AuthenticationConditionApplication",
]
INTERFACE = re.compile(r"^export interface (\w+)(?: extends (\w+))? \{\n(.*?)^\}", re.M | re.S)


def main(path: Path) -> None:
    """Write the members of TYPES: their types, and which of them are read-only."""
    schema = {
        name: {"extends": base or None, "members": dict(members(body))}
        for name, base, body in INTERFACE.findall(path.read_text())
        if name in TYPES
    }
    target = Path(__file__).with_name("schema.json")
    target.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")


def members(body: str) -> list[tuple[str, dict[str, object]]]:
    found = []
    for line in re.split(r";\n", body):
        match = re.search(r"(\w+)\?: (.+)$", line, re.S)
        if match:
            kind = re.sub(r"^NullableOption<(.*)>$", r"\1", match[2])
            member = {"type": kind, "nullable": kind != match[2]}
            found.append((match[1], member | ({"read_only": True} if "Read-only." in line else {})))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
