"""A check in place of schemathesis' own: a method that is not described is no endpoint, as any other path that is none."""

import json

import schemathesis
from schemathesis.generation.meta import CoverageScenario


@schemathesis.check
def unknown_method_is_no_endpoint(ctx, response, case):
    data = case.meta.phase.data if case.meta else None
    if getattr(data, "scenario", None) != CoverageScenario.UNSPECIFIED_HTTP_METHOD:
        return
    if case.operation.path.startswith("/v1.0/invoke/"):
        # An application may be called by any method.
        return
    assert response.status_code == 404, f"an unknown method is answered {response.status_code}"
    body = json.loads(response.content or b"{}")
    assert body.get("errorCode") == "ERR_DIRECT_INVOKE", f"an unknown method is answered {body}"
